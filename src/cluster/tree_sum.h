// Sums of several members' values in the order of addition that collectives promise (collectives.h).
#pragma once

#include <cstddef>
#include <span>

#include "cluster/endpoint.h"

namespace muster {

// values[i] <- values[i] op other[i]; for sum_double_double over pairs (high, low). Neither is NaN for min and max.
void combine(std::span<double> values, std::span<const double> other, ReduceOp op);

// Element by element the sources added in a binomial tree over their positions, the lower position on the left of each
// sum; written to every one of `outs`, each of which is a source, too, or overlaps none.
// At least one source; at most 2^20. Each has `count` values, even for sum_double_double.
void tree_sum(std::span<const double* const> sources, std::span<double* const> outs, std::size_t count, ReduceOp op);

}  // namespace muster
