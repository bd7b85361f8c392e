#include "engine/tuning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace muster {
namespace {

TEST(Folds, AreDealtEvenlyAndByTheRowsNumberAlone) {
  constexpr int kFolds = 5;
  const std::vector<int> all = deal_folds(0, 1003, kFolds, 7);
  std::array<int, kFolds> counts{};
  for (const int fold : all) ++counts.at(static_cast<std::size_t>(fold));
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()) - *std::min_element(counts.begin(), counts.end()), 1);
  // However ranks share the rows.
  for (const std::int64_t cut : {1, 4, 5, 499, 1002}) {
    std::vector<int> parts = deal_folds(0, static_cast<std::size_t>(cut), kFolds, 7);
    const std::vector<int> rest = deal_folds(cut, static_cast<std::size_t>(1003 - cut), kFolds, 7);
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, all) << cut;
  }
}

TEST(Folds, DependOnTheSeed) {
  EXPECT_NE(deal_folds(0, 100, 5, 1), deal_folds(0, 100, 5, 2));
  // In each group of five every order comes up: the first row's fold is uniform.
  std::array<int, 5> counts{};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) ++counts.at(static_cast<std::size_t>(deal_folds(0, 5, 5, seed)[0]));
  for (const int count : counts) EXPECT_NEAR(count, 200, 60);
}

}  // namespace
}  // namespace muster
