#include "engine/fit_by_rows.h"

#include "engine/fit_scaling.h"

namespace muster {

FitByRows::FitByRows(FitContext& cut)
    : cut_(cut),
      shard_(cut.division()->rows_with_all_columns(*cut.rows.source().held())),
      source_(shard_),
      rows_(cut.rows.over(source_)),
      request_(cut.request),
      context_{request_, cut.whole, rows_, cut.executor, {}, cut.start} {
  request_.rows = &source_;
  request_.division = nullptr;
  agree_on_rows(context_);
}

FitByRows::~FitByRows() {
  cut_.compute_seconds += context_.compute_seconds;
}

}  // namespace muster
