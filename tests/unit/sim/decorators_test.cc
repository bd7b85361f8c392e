// Decorators keep what every transport promises, on threads and simulated, and do what they are for.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "cluster/faulty_endpoint.h"
#include "cluster/sim/rank_faults.h"
#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "cluster/tracing_endpoint.h"
#include "conformance.h"

namespace muster {
namespace {

using Parameters = std::tuple<int, conformance::Check>;
class Decorated : public testing::TestWithParam<Parameters> {
 protected:
  EndpointOptions options() const { return {.credit_bytes = conformance::kCreditBytes}; }
  int ranks() const { return std::get<0>(GetParam()); }
  // Copied: a thread that does not come back still uses it.
  auto check() const { return std::get<1>(GetParam()).run; }
};

TEST_P(Decorated, TracedThreadsConform) {
  const auto run = check();
  ASSERT_NO_THROW(run_threads(ranks(), options(), [run](Endpoint& e) {
    TracingEndpoint traced(e, false);
    run(traced);
  }));
}

TEST_P(Decorated, TracedSimulationConforms) {
  const auto run = check();
  ASSERT_NO_THROW(run_simulated(ranks(), {}, options(), [run](Endpoint& e) {
    TracingEndpoint traced(e, false);
    run(traced);
  }));
}

TEST_P(Decorated, FaultlessThreadsConform) {
  const auto run = check();
  ASSERT_NO_THROW(run_threads(ranks(), options(), [run](Endpoint& e) {
    FaultyEndpoint faulty(e, {});
    run(faulty);
  }));
}

TEST_P(Decorated, SlowAndDelayedSimulationConforms) {
  const auto run = check();
  ASSERT_NO_THROW(run_simulated(ranks(), {}, options(), [run](Endpoint& e) {
    RankFaults faults;
    faults.slowness = 1.0 + e.rank();
    faults.delays.push_back({.to = {}, .at = 0, .until = 1e9, .seconds = 1e-5 * e.rank(), .extra_seconds = 1e-5});
    FaultyEndpoint faulty(e, faults);
    run(faulty);
  }));
}

std::string test_name(const testing::TestParamInfo<Parameters>& test) {
  return std::get<1>(test.param).name + std::string("Ranks") + std::to_string(std::get<0>(test.param));
}

INSTANTIATE_TEST_SUITE_P(All, Decorated,
                         testing::Combine(testing::Values(3), testing::ValuesIn(conformance::all_checks())), test_name);

// --- faults ---

ClusterModel one_flop_per_second() {
  ClusterModel model;
  model.default_node.flops_per_second = 1;
  return model;
}

TEST(Faulty, ASlowRankTakesSoManyTimesAsLong) {
  run_simulated(2, one_flop_per_second(), {}, [](Endpoint& e) {
    RankFaults faults;
    if (e.rank() == 1) faults.slowness = 3;
    FaultyEndpoint faulty(e, faults);
    faulty.charge({.bytes = 0, .flops = 2});
    EXPECT_NEAR(faulty.now(), e.rank() == 1 ? 6 : 2, 1e-6);
    faulty.barrier(Deadline::never());
  });
}

TEST(Faulty, ADelayedMessageComesLaterAndInOrder) {
  run_simulated(3, {}, {}, [](Endpoint& e) {
    RankFaults faults;
    faults.delays.push_back({.to = {1}, .at = 0, .until = 10, .seconds = 2, .extra_seconds = 0});
    FaultyEndpoint faulty(e, faults);
    if (e.rank() == 0) {
      faulty.send(2, 1, Buffer());
      faulty.send(1, 1, Buffer());
      faulty.send(1, 2, Buffer(8));
      faulty.flush(Deadline::never());
      return;
    }
    EXPECT_EQ(faulty.receive({}, Deadline::never()).tag, 1u);
    EXPECT_NEAR(faulty.now(), e.rank() == 1 ? 2 : 0, 1e-3);
    if (e.rank() == 2) return;
    EXPECT_EQ(faulty.receive({}, Deadline::never()).payload.size(), 8u);
  });
}

// The same description, simulated and as a decorator, delays the same messages by the same.
TEST(Faulty, OneDescriptionServesBoth) {
  ClusterModel described;
  described.default_node.flops_per_second = 1;
  described.default_node.factor = Distribution::constant(2);
  LinkFault fault;
  fault.nodes = {0, 1};
  fault.delay_seconds = 0.5;
  described.link_faults.push_back(fault);
  described.deaths.push_back({.node = 3, .at = 100});
  EXPECT_EQ(rank_faults(described, 3, 4).dies_at, 100);
  EXPECT_LT(rank_faults(described, 0, 4).dies_at, 0);

  ClusterModel plain;
  plain.default_node.flops_per_second = 1;
  std::vector<Time> simulated(4), decorated(4);
  const auto program = [](Endpoint& e, std::vector<Time>& times) {
    e.charge({.bytes = 0, .flops = 1});
    if (e.rank() < 2) {
      e.send(e.rank() + 2, 1, Buffer());
      e.flush(Deadline::never());
    } else {
      e.receive({}, Deadline::never());
    }
    times[static_cast<std::size_t>(e.rank())] = e.now();
  };
  run_simulated(4, described, {}, [&](Endpoint& e) { program(e, simulated); });
  run_simulated(4, plain, {}, [&](Endpoint& e) {
    FaultyEndpoint faulty(e, rank_faults(described, e.rank(), 4));
    program(faulty, decorated);
  });
  for (const std::size_t r : {2, 3}) {
    EXPECT_NEAR(simulated[r], 2.5, 1e-3) << r;
    EXPECT_NEAR(decorated[r], 2.5, 1e-3) << r;
  }
}

// In a subgroup ranks have other numbers; those of the description stay those of the run.
TEST(Faulty, DelaysByNameHoldInSubgroups) {
  ClusterModel described;
  LinkFault fault;
  fault.nodes = {0};
  fault.others = {2};
  fault.delay_seconds = 0.5;
  described.link_faults.push_back(fault);
  run_simulated(3, {}, {}, [&](Endpoint& e) {
    FaultyEndpoint faulty(e, rank_faults(described, e.rank(), 3));
    const std::unique_ptr<Endpoint> turned = faulty.split(0, -e.rank());
    const Time begin = e.now();
    if (e.rank() == 0) {
      turned->send(1, 1, Buffer());  // rank 1 of the run
      turned->send(0, 1, Buffer());  // rank 2
    } else {
      turned->receive({}, Deadline::never());
      EXPECT_NEAR(e.now() - begin, e.rank() == 2 ? 0.5 : 0, 1e-3);
    }
  });
}

void dies(const std::function<void(const std::function<void(Endpoint&)>&)>& launch) {
  try {
    launch([](Endpoint& e) {
      RankFaults faults;
      if (e.rank() == 1) faults.dies_at = 0.02;
      FaultyEndpoint faulty(e, faults);
      while (true) {
        faulty.charge({.bytes = 0, .flops = 1e6});
        faulty.barrier(Deadline::never());
      }
    });
    FAIL();
  } catch (const ClusterError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 1 on"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("died, as described"), std::string::npos) << error.what();
  }
}

TEST(Faulty, ADeadRankIsNamedOnThreads) {
  dies([](const auto& main) { run_threads(3, {}, main); });
}
TEST(Faulty, ADeadRankIsNamedInSimulation) {
  dies([](const auto& main) { run_simulated(3, {}, {}, main); });
}

// --- traces ---

std::vector<std::string> lines_with(const std::string& text, const std::string& what) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (line.find(what) != std::string::npos) found.push_back(line);
    at = end + 1;
  }
  return found;
}

std::string field(const std::string& line, const std::string& key) {
  const std::size_t at = line.find("\"" + key + "\":") + key.size() + 3;
  return line.substr(at, line.find_first_of(",}", at) - at);
}

TEST(Traced, SpansAndArrowsAreThoseOfTheRun) {
  std::string json;
  run_simulated(4, one_flop_per_second(), {}, [&](Endpoint& e) {
    TracingEndpoint traced(e, false);
    traced.charge({.bytes = 0, .flops = 1.0 + e.rank()});
    double sum = 1;
    traced.allreduce({&sum, 1}, ReduceOp::sum, Deadline::never());
    const std::unique_ptr<Endpoint> half = traced.split(e.rank() % 2, 0);
    half->barrier(Deadline::never());
    const std::string mine = traced.collect();
    if (e.rank() == 0) json = mine;
  });
  std::map<std::string, double> computed;
  for (const std::string& line : lines_with(json, "\"compute\""))
    computed[field(line, "tid")] += std::stod(field(line, "dur"));
  EXPECT_EQ(computed.size(), 4u);
  for (const auto& [rank, microseconds] : computed) EXPECT_NEAR(microseconds, (1 + std::stod(rank)) * 1e6, 1) << rank;
  std::set<std::string> begun, ended;
  for (const std::string& line : lines_with(json, "\"ph\":\"s\"")) begun.insert(field(line, "id"));
  for (const std::string& line : lines_with(json, "\"ph\":\"f\"")) ended.insert(field(line, "id"));
  // An allreduce of four ranks is six messages; a barrier of two is two, in each half.
  EXPECT_EQ(begun.size(), 10u);
  EXPECT_EQ(begun, ended);
  EXPECT_EQ(lines_with(json, "\"allreduce\"").size(), 4u);
  EXPECT_EQ(lines_with(json, "rank 3 on node3").size(), 1u);
}

}  // namespace
}  // namespace muster
