// A dense row as double-doubles, its power features recomputed from their base: what the shard stores of them is
// rounded to double, which caps the accuracy of an ill-conditioned fit.
#pragma once

#include <span>

#include "base/double_double.h"
#include "data/shard.h"
#include "kernels/kernel_table.h"

namespace muster {

template <class T>
void expand_row(const T* row, std::size_t cols, std::span<const PowerFeature> powers, DoubleDoubleArray out) {
  for (std::size_t j = 0; j < cols; ++j) {
    out.high[j] = static_cast<double>(row[j]);
    out.low[j] = 0;
  }
  std::size_t base = 0;
  int degree = 0;  // of `current`
  DoubleDouble current;
  for (const PowerFeature& feature : powers) {
    const DoubleDouble x(static_cast<double>(row[feature.base]));
    if (degree == 0 || feature.base != base || feature.degree < degree) {
      base = feature.base;
      degree = 0;
      current = 1.0;
    }
    for (; degree < feature.degree; ++degree) current *= x;
    out.high[feature.feature] = current.high;
    out.low[feature.feature] = current.low;
  }
}

}  // namespace muster
