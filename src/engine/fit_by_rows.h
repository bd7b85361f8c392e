// A fit whose columns are cut, seen by rows again: for what takes pairs of columns.
#pragma once

#include "data/row_source.h"
#include "engine/fit_context.h"

namespace muster {

// Each rank gets back its share of the rows with all columns: from then on everything in context() is what it is under
// --split rows, bit for bit. The rows are held twice meanwhile, as they were when columns were exchanged at first.
class FitByRows {
 public:
  // Collective. cut: its columns are cut, and it outlives this.
  explicit FitByRows(FitContext& cut);
  ~FitByRows();  // the seconds of passes count for `cut` too
  FitByRows(const FitByRows&) = delete;
  FitByRows& operator=(const FitByRows&) = delete;

  FitContext& context() { return context_; }

 private:
  FitContext& cut_;
  Shard shard_;
  HeldRows source_;
  LinearRows rows_;
  FitRequest request_;
  FitContext context_;
};

}  // namespace muster
