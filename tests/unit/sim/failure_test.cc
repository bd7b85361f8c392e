// What fails in a simulated cluster shows to its ranks as it would in a live one.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <atomic>
#include <string>

#include "cluster/sim/sim_launch.h"

namespace muster {
namespace {

const EndpointOptions kOptions{.silence_seconds = 2};

template <class Caught, class Function>
std::string caught(Function function) {
  try {
    function();
  } catch (const Caught& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string message_of(const std::function<void()>& function) {
  return caught<std::exception>(function);
}

TEST(Failure, ADeadNodeIsLostAfterTheSilence) {
  ClusterModel model;
  model.deaths.push_back({.node = 1, .at = 0.5});
  Time lost_at = 0;
  const SimReport report = run_simulated(3, model, kOptions, [&](Endpoint& e) {
    if (e.rank() == 2) return;
    if (e.rank() == 1) {
      e.receive({{0}, {}}, Deadline::never());
      ADD_FAILURE() << "the rank of a dead node went on";
    }
    const std::string cause = caught<PeerLost>([&] { e.receive({{1}, {}}, Deadline::never()); });
    EXPECT_NE(cause.find("rank 1 on node1: no sign of life"), std::string::npos) << cause;
    lost_at = e.now();
  });
  EXPECT_NEAR(lost_at, 0.5 + 2, 1e-4);
  EXPECT_EQ(report.died, std::vector<int>{1});
}

TEST(Failure, ARankStopsWhereItsNodeDies) {
  ClusterModel model;
  model.default_node.flops_per_second = 1;
  model.deaths.push_back({.node = 1, .at = 3.5});
  int rounds = 0;
  const SimReport report = run_simulated(2, model, kOptions, [&](Endpoint& e) {
    if (e.rank() == 0) return;
    for (;; ++rounds) e.charge({.bytes = 0, .flops = 1});
  });
  EXPECT_EQ(rounds, 3);
  EXPECT_EQ(report.finish_seconds[1], 3.5);
}

TEST(Failure, SurvivorsShrinkAndGoOn) {
  ClusterModel model;
  model.deaths.push_back({.node = 2, .at = 1e-3});
  run_simulated(5, model, kOptions, [](Endpoint& e) {
    double sum = 1;
    try {
      while (true) {
        e.charge({.bytes = 0, .flops = 1e6});
        e.allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
        sum = 1;
      }
    } catch (const PeerLost& lost) {
      EXPECT_EQ(lost.rank(), 2);
    }
    const std::unique_ptr<Endpoint> rest = e.shrink({e.now() + 60});
    EXPECT_EQ(rest->members(), (std::vector<int>{0, 1, 3, 4}));
    sum = 1;
    rest->allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
    EXPECT_EQ(sum, 4);
  });
}

TEST(Failure, ARunThatDoesNotHandleADeathNamesTheNode) {
  ClusterModel model;
  model.deaths.push_back({.node = 3, .at = 1e-3});
  const std::string cause = caught<PeerLost>([&] {
    run_simulated(4, model, kOptions, [](Endpoint& e) {
      for (int k = 0; k < 100; ++k) {
        e.charge({.bytes = 0, .flops = 1e6});
        e.barrier(Deadline::never());
      }
    });
  });
  EXPECT_NE(cause.find("rank 3 on node3"), std::string::npos) << cause;
}

TEST(Failure, DeathsAtARateDependOnTheSeed) {
  ClusterModel model;
  model.deaths_per_second = 0.1;
  const auto died = [&](std::uint64_t seed) {
    model.seed = seed;
    return run_simulated(100, model, kOptions, [](Endpoint& e) { e.charge({.bytes = 0, .flops = 40e9}); }).died;
  };
  const std::vector<int> first = died(1);
  EXPECT_EQ(died(1), first);
  EXPECT_NE(died(2), first);
  // Ten seconds at a rate of 0.1: 1 - 1/e of 100 nodes, within five standard deviations.
  EXPECT_NEAR(static_cast<double>(first.size()), 63.2, 24);
}

TEST(Failure, ALongComputationIsNoSilence) {
  run_simulated(2, {}, kOptions, [](Endpoint& e) {
    if (e.rank() == 0) {
      e.charge({.bytes = 0, .flops = 400e9});  // a hundred seconds
      e.send(1, 1, Buffer());
    } else {
      e.receive({}, Deadline::never());
      EXPECT_GT(e.now(), 100);
    }
  });
}

TEST(Failure, AShortPauseOnlyDelays) {
  ClusterModel model;
  model.default_node.flops_per_second = 1;
  model.pauses.push_back({.node = 1, .at = 0.5, .seconds = 1.5});
  run_simulated(2, model, kOptions, [](Endpoint& e) {
    if (e.rank() == 1) {
      e.charge({.bytes = 0, .flops = 1});
      EXPECT_NEAR(e.now(), 2.5, 1e-12);
      e.send(0, 1, Buffer());
    } else {
      e.receive({}, Deadline::never());
      EXPECT_NEAR(e.now(), 2.5, 1e-3);
    }
  });
}

TEST(Failure, ALongPauseIsALossAndTheComebackIsTold) {
  ClusterModel model;
  model.pauses.push_back({.node = 1, .at = 0.5, .seconds = 10});
  const std::string cause = message_of([&] {
    run_simulated(3, model, kOptions, [](Endpoint& e) {
      if (e.rank() == 1) {
        const std::string told = caught<ClusterError>([&] { e.receive({{0}, {}}, Deadline::never()); });
        EXPECT_NE(told.find("went on without this one"), std::string::npos) << told;
        EXPECT_GE(e.now(), 10.5);
      } else if (e.rank() == 0) {
        const std::string lost = caught<PeerLost>([&] { e.receive({{1}, {}}, Deadline::never()); });
        EXPECT_NE(lost.find("rank 1"), std::string::npos) << lost;
        EXPECT_NEAR(e.now(), 2.5, 1e-4);
        e.charge({.bytes = 0, .flops = 80e9});  // still there when the other comes back
      }
    });
  });
  EXPECT_NE(cause.find("rank 1 on node1: no sign of life"), std::string::npos) << cause;  // as the threads report it
}

LinkFault partition(Time at, Time until) {
  LinkFault fault;
  fault.nodes = {0, 1};
  fault.at = at;
  fault.until = until;
  fault.cut = true;
  return fault;
}

TEST(Failure, APartitionThatHealsInTimeOnlyDelays) {
  ClusterModel model;
  model.link_faults.push_back(partition(0, 1.5));
  run_simulated(4, model, kOptions, [](Endpoint& e) {
    e.barrier(Deadline::never());
    EXPECT_NEAR(e.now(), 1.5, 1e-3);
  });
}

TEST(Failure, APartitionThatLastsIsALossOnBothSides) {
  ClusterModel model;
  model.link_faults.push_back(partition(0, 50));
  std::atomic<int> losses = 0;
  message_of([&] {
    run_simulated(4, model, kOptions, [&](Endpoint& e) {
      try {
        e.receive({{(e.rank() + 2) % 4}, {}}, Deadline::never());
      } catch (const PeerLost&) {
        EXPECT_NEAR(e.now(), 2, 1e-3);
        ++losses;
      }
    });
  });
  EXPECT_EQ(losses, 4);
}

LinkFault loss(double chance, double retransmit_seconds) {
  LinkFault fault;
  fault.loss = chance;
  fault.retransmit_seconds = retransmit_seconds;
  return fault;
}

TEST(Failure, LostAttemptsAreRepeatedLater) {
  ClusterModel model;
  model.link_faults.push_back(loss(0.5, 0.1));
  run_simulated(2, model, kOptions, [](Endpoint& e) {
    for (int k = 0; k < 50; ++k) e.barrier(Deadline::never());
    EXPECT_GT(e.now(), 1);
  });
}

// The peer answers signs of life, so what a live transport reports is Timeout; nobody is lost.
TEST(Failure, AMessageLostForGoodIsATimeout) {
  ClusterModel model;
  model.link_faults.push_back(loss(1, kForever));
  run_simulated(2, model, kOptions, [](Endpoint& e) {
    if (e.rank() == 0) {
      e.send(1, 1, Buffer());
      e.charge({.bytes = 0, .flops = 40e9});
    } else {
      EXPECT_THROW(e.receive({{0}, {}}, {5}), Timeout);
      EXPECT_EQ(e.now(), 5);
    }
  });
}

TEST(Failure, AThrowingRankIsNamed) {
  const std::string cause = caught<ClusterError>([] {
    run_simulated(3, {}, kOptions, [](Endpoint& e) {
      if (e.rank() == 1) throw std::runtime_error("something broke");
      e.barrier(Deadline::never());
    });
  });
  EXPECT_EQ(cause, "rank 1 on node1: something broke");
}

TEST(Failure, CancellationReachesBlockedRanks) {
  CancellationToken token;
  EndpointOptions options = kOptions;
  options.cancellation = &token;
  EXPECT_THROW(run_simulated(3, {}, options,
                             [&](Endpoint& e) {
                               if (e.rank() == 0) {
                                 e.charge({.bytes = 0, .flops = 4e9});
                                 token.cancel();
                               }
                               e.receive({}, Deadline::never());
                             }),
               Cancelled);
}

// --- deadlocks ---

TEST(Deadlocked, SaysWhoWaitsForWhomOnWhichTagSinceWhen) {
  try {
    run_simulated(3, {}, kOptions, [](Endpoint& e) {
      e.charge({.bytes = 0, .flops = 1e9 * (e.rank() + 1)});
      e.receive({{(e.rank() + 1) % 3}, {static_cast<Tag>(40 + e.rank())}}, Deadline::never());
    });
    FAIL();
  } catch (const Deadlock& deadlock) {
    EXPECT_EQ(std::string(deadlock.what()),
              "deadlock at 0.75 s: all 3 running ranks are blocked: "
              "rank 0 on node0 waits for rank 1 (tag 40) since 0.25 s; "
              "rank 1 on node1 waits for rank 2 (tag 41) since 0.5 s; "
              "rank 2 on node2 waits for rank 0 (tag 42) since 0.75 s");
  }
}

TEST(Deadlocked, NamesTheCollective) {
  const std::string cause = caught<Deadlock>([] {
    run_simulated(2, {}, kOptions, [](Endpoint& e) {
      if (e.rank() == 0) {
        e.barrier(Deadline::never());
      } else {
        e.receive({{0}, {1}}, Deadline::never());
      }
    });
  });
  EXPECT_NE(cause.find("rank 0 on node0 waits for rank 1 (in barrier)"), std::string::npos) << cause;
}

TEST(Deadlocked, ADeadlineNobodyHandlesIsReportedAsTheDeadlockItEnded) {
  const auto stuck = [](Endpoint& e) { e.receive({{1 - e.rank()}, {3}}, {e.now() + 600}); };
  const std::string cause = caught<Deadlock>([&] { run_simulated(2, {}, kOptions, stuck); });
  EXPECT_NE(cause.find("rank 0 on node0 waits for rank 1 (tag 3)"), std::string::npos) << cause;
}

TEST(Deadlocked, ADeadlineSomebodyHandlesIsNone) {
  run_simulated(2, {}, kOptions, [](Endpoint& e) {
    if (e.rank() == 0) {
      EXPECT_THROW(e.receive({{1}, {}}, {1}), Timeout);
      e.send(1, 1, Buffer());
    } else {
      e.receive({{0}, {}}, Deadline::never());
    }
  });
}

// --- size ---

TEST(Scale, TwoThousandRanksFitInAGigabyte) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer's own memory is not the simulator's";
#endif
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  run_simulated(2000, {}, {}, [](Endpoint& e) {
    std::vector<double> values(10, 1.0);
    e.allreduce(values, ReduceOp::sum, Deadline::never());
    EXPECT_EQ(values.back(), 2000);
    e.barrier(Deadline::never());
  });
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss, 1'000'000) << "KB; before: " << before.ru_maxrss;
}

}  // namespace
}  // namespace muster
