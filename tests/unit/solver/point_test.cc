#include "solver/point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace muster {
namespace {

// Integers, whose sums are exact in any order: every one is counted once.
TEST(SumInLanes, CountsEveryTermOnce) {
  for (const std::size_t n : {0, 1, 7, 8, 9, 15, 16, 17, 100, 4095, 4096, 4097, 9000}) {
    const auto term = [](std::size_t i) { return static_cast<double>(i + 1); };
    const auto square = [](std::size_t i) { return static_cast<double>((i + 1) * (i + 1)); };
    const auto count = static_cast<double>(n);
    const double sum = count * (count + 1) / 2, squares = count * (count + 1) * (2 * count + 1) / 6;
    EXPECT_EQ(sum_in_lanes(n, term), sum) << n;
    const auto [first, second] = sums_in_lanes(n, term, square);
    EXPECT_EQ(first, sum) << n;
    EXPECT_EQ(second, squares) << n;
  }
}

// Term i goes to lane i mod 8; then lanes 4 apart are added, 2 apart, and the last two: by hand for 10 terms.
TEST(SumInLanes, AddsInAFixedOrder) {
  const std::vector<double> x{1e16, 1, -1e16, 3, 0.5, 1, 2, 1, 1, 1};
  const double lanes[] = {(x[0] + x[8]) + x[4], (x[1] + x[9]) + x[5], x[2] + x[6], x[3] + x[7]};
  EXPECT_EQ(sum_in_lanes(x.size(), [&](std::size_t i) { return x[i]; }), (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]));
}

}  // namespace
}  // namespace muster
