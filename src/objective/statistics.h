// The ways to sum the sufficient statistics M = Σ s z zᵀ of muster/objective.h over a worker's rows. Each fills
// statistics.sums, sized for statistics.precision, and returns the work done.
#pragma once

#include <algorithm>
#include <bit>

#include "base/executor.h"
#include "data/row_source.h"
#include "kernels/kernel_table.h"
#include "muster/objective.h"

namespace muster {

// Blocks of rows are copied centred and scaled by √s into a panel A, and a kernel adds up AᵀA. Dense rows, or sparse
// ones that are dense enough for this to be the quicker way.
Work accumulate_panels(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics);

// Every row in double-double, zeros of sparse ones included.
Work accumulate_double_double(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics);

// Sparse rows: products of entries are added in double-double without centring, which is then done in double-double,
// where a column of mean µ and deviation σ loses (µ/σ)² of 2^106. For both precisions; float64 rounds at the end.
Work accumulate_entries(RowSource& source, Executor& executor, const KernelTable& table, Statistics& statistics);

// Entry (i, j), i <= j, of the packed upper triangle of order p.
constexpr std::size_t packed_index(std::size_t i, std::size_t j, std::size_t p) {
  return i * p - i * (i + 1) / 2 + j;
}

// Rows that cost about `operations` operations at operations_per_row each: as many as fill the time between two calls
// of between_tasks, within limits.
inline std::size_t rows_for(double operations, double operations_per_row, std::size_t least, std::size_t most) {
  const double rows =
      std::clamp(operations / operations_per_row, static_cast<double>(least), static_cast<double>(most));
  return std::bit_floor(static_cast<std::size_t>(rows));
}

}  // namespace muster
