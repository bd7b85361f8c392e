// The rule of the asynchronous network by hand and by its laws, and how maxima spread without rounds.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "base/random.h"
#include "cluster/sim/sim_launch.h"
#include "decentralized_shards.h"
#include "train/pairwise_messages.h"
#include "train/pairwise_rule.h"
#include "train/phased_maxima.h"

namespace muster {
namespace {

using Role = PairwiseRule::Role;

TEST(PairwiseRule, OneExchangeByHand) {
  // φ_i = ½(w − 2)², φ_j = ½(w + 4)², α = ½: i takes two steps, j one, then they meet.
  PairwiseRule i({0.0}, 0.5, 0.5, {}), j({0.0}, 0.5, 0.5, {});
  i.step(std::vector<double>{-2.0});
  EXPECT_EQ(i.w()[0], 1);
  i.step(std::vector<double>{-1.0});
  EXPECT_EQ(i.w()[0], 1.5);
  j.step(std::vector<double>{4.0});
  EXPECT_EQ(j.w()[0], -2);
  const std::vector<double> difference = {0.5 * (1.5 + 2)};
  i.exchange(difference, Role::asks, 2);
  j.exchange(difference, Role::asked, 2);
  EXPECT_EQ(i.w()[0], -0.25);
  EXPECT_EQ(j.w()[0], -0.25);
  EXPECT_EQ(i.dual()[0], 0.875);  // c = ½/(½ · 2) = ½
  EXPECT_EQ(j.dual()[0], -0.875);
  i.step(std::vector<double>{-2.25});
  EXPECT_EQ(i.w()[0], 0.4375);
}

TEST(PairwiseRule, WithL1TheStepEndsInTheSoftThreshold) {
  PairwiseRule rule({0.0, 0.0}, 0.5, 0.5, {1.0, 1.0});
  rule.step(std::vector<double>{-3.0, 0.9});
  EXPECT_EQ(rule.w(), (std::vector<double>{1.0, 0.0}));  // 1.5 and −0.45, less ½
}

TEST(PairwiseRule, EveryExchangeKeepsTheMeansAndTheTrackedSum) {
  constexpr int kNodes = 5, kNumbers = 3;
  const RandomStream random(3, 0, RandomPurpose::start_vector);
  std::uint64_t at = 0;
  const auto draw = [&] { return 2 * random.uniform(at++) - 1; };
  const auto pick = [&](int below) { return static_cast<int>(random.uniform(at++) * below); };
  std::vector<PairwiseRule> nodes;
  for (int k = 0; k < kNodes; ++k)
    nodes.emplace_back(std::vector<double>{draw(), draw(), draw()}, 0.3, 0.5, std::vector<double>{});
  const auto sum = [&](auto member) {
    std::vector<double> total(kNumbers, 0.0);
    for (const PairwiseRule& node : nodes)
      for (std::size_t n = 0; n < kNumbers; ++n) total[n] += (node.*member)()[n];
    return total;
  };
  for (int event = 0; event < 2000; ++event) {
    if (pick(3) == 0) {
      nodes[static_cast<std::size_t>(pick(kNodes))].step(std::vector<double>{draw(), draw(), draw()});
      continue;
    }
    const int i = pick(kNodes), j = (i + 1 + pick(kNodes - 1)) % kNodes;
    PairwiseRule &asks = nodes[static_cast<std::size_t>(i)], &asked = nodes[static_cast<std::size_t>(j)];
    const std::vector<double> before = sum(&PairwiseRule::w);
    std::vector<double> half(kNumbers);
    for (std::size_t n = 0; n < kNumbers; ++n) half[n] = 0.5 * (asks.w()[n] - asked.w()[n]);
    const std::int64_t steps = pick(4);
    asks.exchange(half, Role::asks, steps);
    asked.exchange(half, Role::asked, steps);
    EXPECT_LT(distance(sum(&PairwiseRule::w), before), 1e-12);
    EXPECT_LT(distance(asks.w(), asked.w()), 1e-12);
    // Σ (g_k + d_k) = Σ g_k, whatever the gradients.
    EXPECT_LT(distance(sum(&PairwiseRule::dual), std::vector<double>(kNumbers, 0.0)), 1e-12);
  }
}

TEST(PhasedMaxima, AllNodesComeToTheSameMaximaWhateverTheirPace) {
  const Topology line = make_topology("line", 6, MixingWeights::automatic, 1);
  const RandomStream random(5, 0, RandomPurpose::start_vector);
  std::uint64_t at = 0;
  std::vector<PhasedMaxima> nodes;
  std::vector<std::vector<int>> neighbours(6);
  std::vector<int> windows(6, 0);
  for (int k = 0; k < 6; ++k) {
    for (const WeightedNeighbour& to : line.row(k).out) neighbours[static_cast<std::size_t>(k)].push_back(to.node);
    nodes.emplace_back(neighbours[static_cast<std::size_t>(k)], diameter(line));
  }
  // In window v node k has seen (7k + 3v) mod 11; over all k the largest of it is:
  const auto seen = [](int node, int window) { return static_cast<double>((7 * node + 3 * window) % 11); };
  const auto largest = [&](int window) {
    double most = 0;
    for (int k = 0; k < 6; ++k) most = std::max(most, seen(k, window));
    return most;
  };
  const auto tell = [&](std::size_t k) {
    for (const int to : neighbours[k]) nodes[static_cast<std::size_t>(to)].hear(static_cast<int>(k), nodes[k].maxima());
  };
  const auto open = [&](std::size_t k) {
    PhasedMaxima::Maxima mine{};
    mine[StopAgreement::kGradient] = seen(static_cast<int>(k), windows[k]);
    nodes[k].open(mine);
    tell(k);
  };
  for (std::size_t k = 0; k < 6; ++k) open(k);
  for (int event = 0; event < 4000; ++event) {
    const double u = random.uniform(at++);
    const auto k = static_cast<std::size_t>(6 * u * u);  // low nodes look far more often
    if (!nodes[k].advance()) continue;
    if (!nodes[k].complete()) {
      tell(k);
      continue;
    }
    EXPECT_EQ(nodes[k].maxima()[StopAgreement::kGradient], largest(windows[k]));
    ++windows[k];
    open(k);
  }
  EXPECT_GT(*std::min_element(windows.begin(), windows.end()), 20);
  EXPECT_LE(*std::max_element(windows.begin(), windows.end()) - *std::min_element(windows.begin(), windows.end()), 1);
}

TEST(PairwiseRule, TheMeanIsKeptWhateverMessagesLose) {
  for (const MessageCompression& compression : kLossy) {
    const Codec codec(compression);
    PairwiseRule i({3, -0.1, 1e3}, 1, 0.5, {}), j({-1, 7, 2e3}, 1, 0.5, {});
    const PublicCopy nothing(3, 3);
    PublicCopy own_i = nothing, own_j = nothing, i_at_j = nothing, j_at_i = nothing;
    for (int exchange = 0; exchange < 200; ++exchange) {
      std::vector<std::byte> from_i, from_j;
      own_i.approach(i.w(), codec, from_i);
      own_j.approach(j.w(), codec, from_j);
      EXPECT_EQ(i_at_j.follow(from_i, codec), from_i.size());
      EXPECT_EQ(j_at_i.follow(from_j, codec), from_j.size());
      std::vector<double> at_i(3), at_j(3);
      for (std::size_t n = 0; n < 3; ++n) {
        at_i[n] = 0.2 * (own_i.values()[n] - j_at_i.values()[n]);
        at_j[n] = 0.2 * (i_at_j.values()[n] - own_j.values()[n]);
      }
      EXPECT_EQ(at_i, at_j);
      i.exchange(at_i, Role::asks, 1);
      j.exchange(at_j, Role::asked, 1);
      for (std::size_t n = 0; n < 3; ++n) {
        EXPECT_NEAR(i.w()[n] + j.w()[n], std::vector<double>({2, 6.9, 3e3})[n], 1e-12 * 3e3);
        EXPECT_EQ(i.dual()[n], -j.dual()[n]);
      }
    }
    EXPECT_LT(distance(i.w(), j.w()), 1e-9) << static_cast<int>(compression.kind);
  }
}

}  // namespace
}  // namespace muster
