// Ranks in a grid of row blocks by column blocks: rank r·C + c holds the rows of row block r and the columns of column
// block c.
//
// Sums over rows go over the ranks with equal columns, sums over columns (partial margins, dot products) over those
// with equal rows. Where columns are whole there is one column block, and the first group is everybody.
#pragma once

#include "cluster/endpoint.h"

namespace muster {

// Row blocks by column blocks.
struct GridShape {
  int rows = 1, columns = 1;
};

// A view; what it refers to outlives it.
struct Grid {
  Endpoint& over_rows;               // ranks with this one's columns
  Endpoint* over_columns = nullptr;  // ranks with this one's rows; null: columns are whole
  Endpoint& whole;                   // everybody

  Grid(Endpoint& all) : over_rows(all), whole(all) {}  // NOLINT: the row split is the plain case
  Grid(Endpoint& rows, Endpoint& columns, Endpoint& all) : over_rows(rows), over_columns(&columns), whole(all) {}

  // Which of a sum's parts that all ranks with equal rows have is to count.
  bool in_first_block() const { return over_columns == nullptr || over_columns->rank() == 0; }
  void sum_over_columns(std::span<double> values, ReduceOp op = ReduceOp::sum) const {
    if (over_columns != nullptr) over_columns->allreduce(values, op, Deadline::never());
  }
};

}  // namespace muster
