#include "train/column_block.h"

#include <algorithm>

#include "base/check.h"
#include "cluster/collectives.h"

namespace muster {

ColumnBlockObjective::ColumnBlockObjective(Objective& objective, MarginFunction& parts, Grid grid,
                                           ReducePattern pattern)
    : objective_(objective), parts_(parts), grid_(grid), pattern_(pattern) {
  MUSTER_CHECK(grid.over_columns != nullptr, "columns are cut");
}

void ColumnBlockObjective::whole_margins(std::span<const double> v, std::vector<double>& margins) {
  margins.resize(parts_.margin_count());
  grid_.whole.charge(parts_.margins(v, margins));
  allreduce(*grid_.over_columns, pattern_, margins, ReduceOp::sum, Deadline::never());
}

Work ColumnBlockObjective::value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                                              std::span<double> tallies) {
  point_.assign(w.begin(), w.end());
  whole_margins(w, margins_);
  return parts_.value_and_gradient_at(margins_, value, gradient, tallies);
}

Work ColumnBlockObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  whole_margins(v, of_v_);
  return parts_.curvature_product_at(of_v_, product);
}

Work ColumnBlockObjective::hessian_product(std::span<const double> w, std::span<const double> v,
                                           std::span<double> product) {
  // Blocks differ, and so might their answers: the ranks with the same rows decide together.
  double moved = std::equal(w.begin(), w.end(), point_.begin(), point_.end()) ? 0 : 1;
  grid_.sum_over_columns({&moved, 1}, ReduceOp::max);
  if (moved > 0) {
    point_.assign(w.begin(), w.end());
    whole_margins(w, margins_);
  }
  whole_margins(v, of_v_);
  return parts_.hessian_product_at(margins_, of_v_, product);
}

}  // namespace muster
