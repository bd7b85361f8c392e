// What kernels of sparse rows share on every set, so that their bits are equal: a row's entries go in turn to eight
// lanes, which are added in a fixed order.
#pragma once

#include <cstddef>

#include "base/double_double.h"

namespace muster {

inline constexpr std::size_t kSparseLanes = 8;

// Spoils the lanes.
inline double sum_of_sparse_lanes(double* lanes) {
  for (std::size_t half = kSparseLanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// high + low += x·y, low taking what is rounded off: T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product",
// SIAM J. Sci. Comput. 26 (2005), whose sums are as if computed in twice the precision.
inline void add_to_compensated(double& high, double& low, double x, double y) {
  const DoubleDouble product = two_product(x, y), sum = two_sum(high, product.high);
  high = sum.high;
  low += sum.low + product.low;
}

// The same of a pair side by side with a factor in double-double.
inline void add_product(double* pair, DoubleDouble factor, double x) {
  const DoubleDouble product = two_product(factor.high, x), sum = two_sum(pair[0], product.high);
  pair[0] = sum.high;
  pair[1] += sum.low + (product.low + factor.low * x);
}

// Of compensated lanes. Spoils them.
inline DoubleDouble sum_of_sparse_lanes(double* high, double* low) {
  for (std::size_t half = kSparseLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) {
      const DoubleDouble sum = two_sum(high[lane], high[lane + half]);
      high[lane] = sum.high;
      low[lane] += low[lane + half] + sum.low;
    }
  }
  return two_sum(high[0], low[0]);
}

}  // namespace muster
