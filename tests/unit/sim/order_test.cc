// The order of what happens: the same for the same seeds, another legal one for another tie-break.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "cluster/sim/sim_launch.h"

namespace muster {
namespace {

ClusterModel lively() {
  ClusterModel model;
  model.default_node.factor = Distribution::lognormal(1, 0.3);
  model.default_node.round_factor = Distribution::exponential(1);
  model.inter_host.jitter_seconds = 1e-5;
  return model;
}

// Workers push to a server whenever they are ready; the answer depends on the order it hears them in.
std::vector<int> asynchronous(int ranks, const ClusterModel& model, SimReport& report) {
  std::vector<int> order;
  report = run_simulated(ranks, model, {}, [&](Endpoint& e) {
    const int pushes = 20;
    if (e.rank() != 0) {
      for (int k = 0; k < pushes; ++k) {
        e.charge({.bytes = 1e5, .flops = 1e5});
        e.send(0, 1, Buffer(800));
        e.receive({{0}, {2}}, Deadline::never());
      }
      return;
    }
    for (int k = 0; k < pushes * (e.size() - 1); ++k) {
      const Message push = e.receive({}, Deadline::never());
      order.push_back(push.source);
      e.send(push.source, 2, Buffer(800));
    }
  });
  return order;
}

TEST(Order, TheSameSeedGivesTheSameRunBitForBit) {
  SimReport first, second, other;
  const std::vector<int> order = asynchronous(30, lively(), first);
  EXPECT_EQ(asynchronous(30, lively(), second), order);
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.finish_seconds, second.finish_seconds);
  ClusterModel model = lively();
  model.seed = 1;
  EXPECT_NE(asynchronous(30, model, other), order);
  EXPECT_NE(other.trace_hash, first.trace_hash);
}

// The run of these seeds, as any machine must compute it.
TEST(Order, ARunIsTheSameOnEveryMachine) {
  SimReport report;
  asynchronous(30, lively(), report);
  EXPECT_EQ(report.trace_hash, 6067908681748322668u);
}

// Everybody sends three messages at the same instants; what a server sees first is free, the order of each sender is
// not.
TEST(Order, AnotherTieBreakIsAnotherLegalOrder) {
  std::set<std::vector<int>> seen;
  for (std::uint64_t tie_seed = 0; tie_seed < 10; ++tie_seed) {
    ClusterModel model;
    model.tie_seed = tie_seed;
    std::vector<int> order;
    run_simulated(9, model, {}, [&](Endpoint& e) {
      if (e.rank() != 0) {
        for (std::int32_t k = 0; k < 3; ++k) e.send(0, 1, Buffer::copy_of(std::span<const std::int32_t>(&k, 1)));
        return;
      }
      std::map<int, std::int32_t> next;
      for (int k = 0; k < 24; ++k) {
        const Message message = e.receive({}, Deadline::never());
        EXPECT_EQ(message.payload.as<std::int32_t>()[0], next[message.source]++);
        order.push_back(message.source);
      }
    });
    seen.insert(order);
  }
  EXPECT_GE(seen.size(), 8u);
}

TEST(Order, JitterKeepsTheOrderOfAPair) {
  ClusterModel model;
  model.inter_host.jitter_seconds = 1e-3;
  run_simulated(2, model, {}, [](Endpoint& e) {
    for (std::int32_t k = 0; k < 200; ++k) {
      if (e.rank() == 0) {
        e.send(1, 1, Buffer::copy_of(std::span<const std::int32_t>(&k, 1)));
      } else {
        EXPECT_EQ(e.receive({}, Deadline::never()).payload.as<std::int32_t>()[0], k);
      }
    }
  });
}

TEST(Order, PollingTakesTime) {
  run_simulated(2, {}, {}, [](Endpoint& e) {
    if (e.rank() == 0) {
      e.charge({.bytes = 0, .flops = 4e6});  // a millisecond
      e.send(1, 1, Buffer(8));
    } else {
      std::int64_t looks = 0;
      while (!e.try_receive({})) ++looks;
      EXPECT_GT(e.now(), 1e-3);
      EXPECT_LT(e.now(), 1.1e-3);
      EXPECT_GT(looks, 1000);
    }
    const Time before = e.now();
    while (e.now() < before + 1e-4) e.progress();
  });
}

}  // namespace
}  // namespace muster
