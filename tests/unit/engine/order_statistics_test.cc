#include "engine/order_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cluster/threads/threads_launch.h"

namespace muster {
namespace {

// Dealt over three ranks, one of which has none.
std::vector<double> over_ranks(const std::vector<double>& numbers, const std::vector<double>& shares) {
  std::vector<double> found;
  run_threads(3, {}, [&](Endpoint& endpoint) {
    std::vector<double> mine;
    if (endpoint.rank() != 1)
      for (std::size_t i = endpoint.rank() == 0 ? 0 : 1; i < numbers.size(); i += 2) mine.push_back(numbers[i]);
    std::sort(mine.begin(), mine.end());
    const std::vector<double> result = quantiles(endpoint, mine, shares);
    if (endpoint.rank() == 2) found = result;
  });
  return found;
}

// R's quantile(), type 7, on all numbers together.
double type_7(std::vector<double> numbers, double share) {
  std::sort(numbers.begin(), numbers.end());
  const double place = share * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 == numbers.size()) return numbers.back();
  return numbers[below] + (place - static_cast<double>(below)) * (numbers[below + 1] - numbers[below]);
}

TEST(Quantiles, AreThoseOfAllNumbersTogether) {
  std::vector<double> numbers;
  for (int i = 0; i < 101; ++i) numbers.push_back(std::sin(i * 12.9898) * std::exp(i % 17 - 8));
  const std::vector<double> shares{0, 0.1, 0.25, 1.0 / 3, 0.5, 0.75, 0.99, 1};
  const std::vector<double> found = over_ranks(numbers, shares);
  for (std::size_t q = 0; q < shares.size(); ++q) EXPECT_EQ(found[q], type_7(numbers, shares[q])) << shares[q];
}

TEST(Quantiles, OfTiesZerosAndInfinities) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(over_ranks({2, 2, 2, 2}, {0, 0.5, 1}), (std::vector<double>{2, 2, 2}));
  EXPECT_EQ(over_ranks({-0.0, 0.0, -1e-310}, {0, 0.5, 1}), (std::vector<double>{-1e-310, 0, 0}));
  EXPECT_EQ(over_ranks({-infinity, 7, infinity}, {0, 0.5, 1}), (std::vector<double>{-infinity, 7, infinity}));
  EXPECT_EQ(over_ranks({42}, {0, 0.3, 1}), (std::vector<double>{42, 42, 42}));
}

}  // namespace
}  // namespace muster
