// A run that goes on without the ranks it lost, on threads and simulated; and what is not tolerated.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "cluster/faulty_endpoint.h"
#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "loss_scenarios.h"

namespace muster {
namespace {

using losses::Fate;
using losses::kRanks;

const EndpointOptions kTolerant{.silence_seconds = 2, .tolerate_losses = true};

// Every scenario with every rank as the one to be lost.
class ToleratedLoss : public testing::TestWithParam<std::tuple<losses::Scenario, int>> {
 protected:
  Fate fate(int throws_in_round) const { return {std::get<1>(GetParam()), throws_in_round}; }
  // Counts the ranks that came through: a survivor that failed too would be taken for another loss.
  auto counted(const Fate& fate, std::atomic<int>& survived) const {
    return [run = std::get<0>(GetParam()).run, fate, &survived](Endpoint& e) {
      run(e, fate);
      ++survived;
    };
  }
  std::atomic<int> survived_{0};
};

TEST_P(ToleratedLoss, AThreadThatThrows) {
  ASSERT_NO_THROW(run_threads(kRanks, kTolerant, counted(fate(3), survived_)));
  EXPECT_EQ(survived_, kRanks - 1);
}

TEST_P(ToleratedLoss, AThreadWhoseEndpointDies) {
  const auto rank_main = counted(fate(1'000'000'000), survived_);
  const int culprit = fate(0).rank;
  ASSERT_NO_THROW(run_threads(kRanks, kTolerant, [&](Endpoint& e) {
    RankFaults faults;
    if (e.rank() == culprit) faults.dies_at = 0.02;
    FaultyEndpoint faulty(e, faults);
    rank_main(faulty);
  }));
  EXPECT_EQ(survived_, kRanks - 1);
}

TEST_P(ToleratedLoss, ASimulatedRankThatThrows) {
  ASSERT_NO_THROW(run_simulated(kRanks, {}, kTolerant, counted(fate(3), survived_)));
  EXPECT_EQ(survived_, kRanks - 1);
}

TEST_P(ToleratedLoss, ASimulatedNodeThatDies) {
  ClusterModel model;
  model.deaths.push_back({.node = fate(0).rank, .at = 2e-3});
  const SimReport report = run_simulated(kRanks, model, kTolerant, counted(fate(1'000'000'000), survived_));
  EXPECT_EQ(survived_, kRanks - 1);
  EXPECT_EQ(report.died, std::vector<int>{fate(0).rank});
}

std::string name_of(const testing::TestParamInfo<ToleratedLoss::ParamType>& info) {
  return std::get<0>(info.param).name + std::string("Rank") + std::to_string(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(All, ToleratedLoss,
                         testing::Combine(testing::ValuesIn(losses::kScenarios), testing::Values(0, 2, 4)), name_of);

// --- silence ---

TEST(ToleratedLosses, ASimulatedNodeThatStopsForLong) {
  ClusterModel model;
  model.pauses.push_back({.node = 2, .at = 2e-3, .seconds = 30});
  std::atomic<int> survived{0};
  const auto rank_main = [&](Endpoint& e) {
    losses::collectives(e, {2, 1'000'000'000});
    ++survived;
    e.charge({.bytes = 0, .flops = 400e9});  // still at it when the other is back
  };
  ASSERT_NO_THROW(run_simulated(kRanks, model, kTolerant, rank_main));
  EXPECT_EQ(survived, kRanks - 1);
}

TEST(ToleratedLosses, ASimulatedNodeThatIsCutOff) {
  ClusterModel model;
  LinkFault cut;
  cut.nodes = {2};
  cut.at = 2e-3;
  cut.until = 1e6;
  cut.cut = true;
  model.link_faults.push_back(cut);
  std::atomic<int> survived{0};
  const auto rank_main = [&](Endpoint& e) {
    if (e.rank() == 2) {
      int lost = 0;
      while (lost < kRanks - 1) {
        try {
          e.receive({{}, {losses::kPush}}, Deadline::never());
        } catch (const PeerLost&) {
          ++lost;
        }
      }
      throw std::runtime_error("alone");
    }
    losses::collectives(e, {2, -1});
    ++survived;
  };
  ASSERT_NO_THROW(run_simulated(kRanks, model, kTolerant, rank_main));
  EXPECT_EQ(survived, kRanks - 1);
}

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false, passed = false;
};

TEST(ToleratedLosses, AThreadThatFallsSilent) {
  const auto gate = std::make_shared<Gate>();
  const auto survived = std::make_shared<std::atomic<int>>(0);
  EndpointOptions options = kTolerant;
  options.silence_seconds = 0.5;
  ASSERT_NO_THROW(run_threads(kRanks, options, [gate, survived](Endpoint& e) {
    if (e.rank() != 0) {
      losses::collectives(e, {0, -1});
      ++*survived;
      return;
    }
    double sum = 1;
    e.allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
    std::unique_lock lock(gate->mutex);
    gate->changed.wait(lock, [&] { return gate->open; });
    gate->passed = true;
    gate->changed.notify_all();
  }));
  EXPECT_EQ(*survived, kRanks - 1);
  std::unique_lock lock(gate->mutex);
  gate->open = true;
  gate->changed.notify_all();
  gate->changed.wait(lock, [&] { return gate->passed; });
}

// --- what is not tolerated ---

template <class Run>
std::string failure_of(Run run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// Runs the same program on both transports; the sentences of their failures, without the hosts' names.
void expect_failure(const std::function<void(Endpoint&)>& rank_main, const std::string& begin, const std::string& end) {
  for (const std::string& cause : {failure_of([&] { run_threads(3, kTolerant, rank_main); }),
                                   failure_of([&] { run_simulated(3, {}, kTolerant, rank_main); })}) {
    EXPECT_TRUE(cause.starts_with(begin) && cause.ends_with(end)) << cause;
  }
}

TEST(ToleratedLosses, SurvivorsThatDoNotTolerateItEndTheRunByName) {
  expect_failure(
      [](Endpoint& e) {
        if (e.rank() == 1) throw std::runtime_error("something broke");
        if (e.rank() == 2) e.barrier(Deadline::never());
      },
      "rank 1 on ", ": something broke");
}

TEST(ToleratedLosses, NobodyLeftIsAFailure) {
  expect_failure([](Endpoint& e) { throw std::runtime_error("rank " + std::to_string(e.rank())); }, "rank 0 on ",
                 ": rank 0");
}

TEST(ToleratedLosses, AnInputErrorStaysOne) {
  const auto all = [](Endpoint&) { throw InputError("data.csv:3: not a number"); };
  EXPECT_THROW(run_threads(3, kTolerant, all), InputError);
  EXPECT_THROW(run_simulated(3, {}, kTolerant, all), InputError);
  const auto one = [](Endpoint& e) {
    if (e.rank() == 0) throw InputError("cannot write model.json");
  };
  EXPECT_THROW(run_threads(3, kTolerant, one), InputError);
  EXPECT_THROW(run_simulated(3, {}, kTolerant, one), InputError);
}

TEST(ToleratedLosses, WithoutTheOptionALossEndsTheRun) {
  const auto rank_main = [](Endpoint& e) { losses::collectives(e, {2, 3}); };
  EXPECT_THROW(run_threads(kRanks, {}, rank_main), ClusterError);
  EXPECT_THROW(run_simulated(kRanks, {}, {}, rank_main), ClusterError);
}

}  // namespace
}  // namespace muster
