// Queues of the modelled network, each by a time worked out by hand.
#include <gtest/gtest.h>

#include <vector>

#include "cluster/sim/sim_launch.h"

namespace muster {
namespace {

constexpr double kBytes = 1e6;
constexpr LinkModel kLink{.latency_seconds = 0.25,
                          .jitter_seconds = 0,
                          .bandwidth = 1e6,  // a message takes a second
                          .send_overhead_seconds = 0,
                          .receive_overhead_seconds = 0};

ClusterModel plain() {
  ClusterModel model;
  model.inter_host = kLink;
  model.header_bytes = 0;
  model.poll_seconds = 1e-9;
  return model;
}

// Each pair's first sends a message to its second at time 0: when it is there, by receiver.
std::vector<Time> arrivals(const ClusterModel& model, int ranks, const std::vector<std::pair<int, int>>& pairs,
                           double bytes = kBytes) {
  std::vector<Time> at(static_cast<std::size_t>(ranks), 0);
  run_simulated(ranks, model, {}, [&](Endpoint& e) {
    for (const auto& [from, to] : pairs) {
      if (e.rank() == from) e.send(to, 1, Buffer(static_cast<std::size_t>(bytes)));
    }
    for (const auto& [from, to] : pairs) {
      if (e.rank() != to) continue;
      e.receive({}, Deadline::never());
      at[static_cast<std::size_t>(to)] = e.now();
    }
  });
  return at;
}

TEST(Network, ALoneMessageIsCutThrough) {
  EXPECT_NEAR(arrivals(plain(), 2, {{0, 1}})[1], 1.25, 1e-6);
}

TEST(Network, TheSmallestBandwidthOnTheWayCounts) {
  ClusterModel model = plain();
  model.nodes = {{.host = 0}, {.host = 1}};
  model.hosts = {{.out_bandwidth = 1e9, .in_bandwidth = 0}, {.out_bandwidth = 0, .in_bandwidth = 0.25e6}};
  EXPECT_NEAR(arrivals(model, 2, {{0, 1}})[1], 4.25, 1e-6);
  model.hosts = {{.out_bandwidth = 0.5e6, .in_bandwidth = 0}, {}};
  EXPECT_NEAR(arrivals(model, 2, {{0, 1}})[1], 2.25, 1e-6);
}

TEST(Network, ASendersMessagesLeaveOneAfterAnother) {
  const std::vector<Time> at = arrivals(plain(), 4, {{0, 1}, {0, 2}, {0, 3}});
  EXPECT_NEAR(at[1], 1.25, 1e-6);
  EXPECT_NEAR(at[2], 2.25, 1e-6);
  EXPECT_NEAR(at[3], 3.25, 1e-6);
}

TEST(Network, PairsApartDoNotMeet) {
  const std::vector<Time> at = arrivals(plain(), 4, {{0, 1}, {2, 3}});
  EXPECT_NEAR(at[1], 1.25, 1e-6);
  EXPECT_NEAR(at[3], 1.25, 1e-6);
}

TEST(Network, RanksOfAHostShareItsInterface) {
  ClusterModel model = plain();
  model.nodes = {{.host = 0}, {.host = 0}, {.host = 1}, {.host = 2}};
  model.hosts.resize(3);
  const std::vector<Time> at = arrivals(model, 4, {{0, 2}, {1, 3}});
  EXPECT_NEAR(std::min(at[2], at[3]), 1.25, 1e-6);
  EXPECT_NEAR(std::max(at[2], at[3]), 2.25, 1e-6);
  const std::vector<Time> in = arrivals(model, 4, {{2, 0}, {3, 1}});
  EXPECT_NEAR(std::min(in[0], in[1]), 1.25, 1e-6);
  EXPECT_NEAR(std::max(in[0], in[1]), 2.25, 1e-6);
}

TEST(Network, InsideAHostMessagesPassByTheInterface) {
  ClusterModel model = plain();
  model.nodes = {{.host = 0}, {.host = 0}, {.host = 1}};
  model.hosts.resize(2);
  model.intra_host = {.latency_seconds = 0.01,
                      .jitter_seconds = 0,
                      .bandwidth = 1e8,
                      .send_overhead_seconds = 0,
                      .receive_overhead_seconds = 0};
  const std::vector<Time> at = arrivals(model, 3, {{0, 2}, {0, 1}});
  EXPECT_NEAR(at[1], 0.02, 1e-6);
  EXPECT_NEAR(at[2], 1.25, 1e-6);
}

TEST(Network, SitesShareTheirLinkInEachDirection) {
  ClusterModel model = plain();
  model.inter_host.bandwidth = 1e9;
  for (int r = 0; r < 6; ++r) {
    model.nodes.push_back({.host = r});
    model.hosts.push_back({.site = r / 3});
  }
  model.site_links.push_back({0, 1, kLink});
  const std::vector<Time> at = arrivals(model, 6, {{0, 3}, {1, 4}, {5, 2}});
  EXPECT_NEAR(std::min(at[3], at[4]), 1.25, 2e-3);
  EXPECT_NEAR(std::max(at[3], at[4]), 2.25, 2e-3);
  EXPECT_NEAR(at[2], 1.25, 2e-3);
  const std::vector<Time> within = arrivals(model, 6, {{0, 1}});
  EXPECT_NEAR(within[1], 0.251, 1e-6);
}

TEST(Network, HeadersAndOverheadsArePaidPerMessage) {
  ClusterModel model = plain();
  model.header_bytes = 1e6;
  model.inter_host.send_overhead_seconds = 0.5;
  model.inter_host.receive_overhead_seconds = 0.125;
  EXPECT_NEAR(arrivals(model, 2, {{0, 1}})[1], 0.5 + 0.25 + 2 + 0.125, 1e-6);
  EXPECT_NEAR(arrivals(model, 2, {{0, 1}}, 0)[1], 0.5 + 0.25 + 1 + 0.125, 1e-6);
}

}  // namespace
}  // namespace muster
