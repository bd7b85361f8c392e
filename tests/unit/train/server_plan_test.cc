// How keys are cut into the servers' ranges.
#include "train/server_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace muster {
namespace {

using Traffic = std::vector<double>;

double traffic_of(const Traffic& traffic, KeyRange range) {
  const auto at = [&](std::size_t key) { return traffic.begin() + static_cast<std::ptrdiff_t>(key); };
  return std::accumulate(at(range.begin), at(range.end), 0.0);
}

TEST(ServerPlan, RangesAreContiguousAndCoverAllKeys) {
  for (const std::size_t keys : {0, 1, 2, 5, 64, 1000})
    for (const std::size_t parts : {1, 2, 3, 7}) {
      Traffic traffic(keys);
      for (std::size_t j = 0; j < keys; ++j) traffic[j] = static_cast<double>(j * 7919 % 101);  // some none at all
      const std::vector<KeyRange> ranges = cut_by_traffic(traffic, parts);
      ASSERT_EQ(ranges.size(), parts);
      std::size_t next = 0;
      for (const KeyRange& range : ranges) {
        EXPECT_EQ(range.begin, next);
        next = range.end;
        EXPECT_TRUE(keys < parts || range.size() > 0) << keys << " keys, " << parts << " parts";
      }
      EXPECT_EQ(next, keys);
    }
}

// Text: the first words are in nearly every row, the last in few. Ranges of equally many keys would leave one server
// most of the work; cut by traffic none has more than its share by more than one key's.
TEST(ServerPlan, AShareOfTheTrafficIsNotAShareOfTheKeys) {
  Traffic traffic(10'000);
  for (std::size_t j = 0; j < traffic.size(); ++j) traffic[j] = 1 / static_cast<double>(1 + j);
  const double total = std::accumulate(traffic.begin(), traffic.end(), 0.0);
  const std::vector<KeyRange> ranges = cut_by_traffic(traffic, 4);
  for (const KeyRange& range : ranges) EXPECT_NEAR(traffic_of(traffic, range), total / 4, 0.5 * traffic[0]);
  EXPECT_GT(traffic_of(traffic, {0, 2500}), 0.8 * total);
  EXPECT_LT(ranges[0].size(), 10u);
  EXPECT_GT(ranges[3].size(), 8000u);
}

TEST(ServerPlan, KeysThatWeighAlikeAreCutByCount) {
  const std::vector<KeyRange> ranges = cut_by_traffic(Traffic(1000, 0.3), 3);
  for (const KeyRange& range : ranges) EXPECT_NEAR(static_cast<double>(range.size()), 1000.0 / 3, 1);
}

}  // namespace
}  // namespace muster
