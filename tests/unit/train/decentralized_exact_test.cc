// Every exact rule ends at the minimiser of all rows, on every graph it is for; dgd ends beside it, as far as theory
// says.
#include <gtest/gtest.h>

#include <string>

#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "decentralized_shards.h"
#include "muster/error.h"

namespace muster {
namespace {

Topology graph(const std::string& name, int nodes) {
  return make_topology(name, nodes, MixingWeights::automatic, 1);
}

std::vector<DecentralizedResult> train(const Problem5& problem, const Topology& topology,
                                       const DecentralizedOptions& options, const ClusterModel& model = {}) {
  std::vector<DecentralizedResult> results(problem.shards.size());
  run_simulated(topology.nodes(), model, {}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    results[static_cast<std::size_t>(endpoint.rank())] =
        train_decentralized(mine, endpoint, topology, std::vector<double>(Problem5::kDimension, 0.0), options);
  });
  return results;
}

void expect_exact(const Problem5& problem, const Topology& topology, const DecentralizedOptions& options,
                  const ClusterModel& model = {}) {
  const std::vector<double> best = problem.minimiser();
  const std::vector<DecentralizedResult> results = train(problem, topology, options, model);
  const DecentralizedResult& first = results[0];
  std::printf("%s: %ld rounds\n", topology.name().c_str(), static_cast<long>(first.session.rounds));
  EXPECT_EQ(first.session.reason, StopReason::converged) << topology.name() << ": " << first.session.detail;
  EXPECT_LT(distance(first.session.w, best), 1e-10) << topology.name();
  for (const double apart : first.consensus_distance) EXPECT_LT(apart, 1e-10) << topology.name();
  for (const DecentralizedResult& result : results) {
    EXPECT_EQ(result.session.w, first.session.w);
    EXPECT_EQ(result.session.rounds, first.session.rounds);
    EXPECT_EQ(result.consensus_distance, first.consensus_distance);
  }
}

TEST(DecentralizedExact, NidsBringsEveryNodeToTheMinimiserAndDgdDoesNot) {
  for (const auto& [name, nodes] : std::vector<std::pair<std::string, int>>{{"ring", 16},
                                                                            {"torus", 16},
                                                                            {"random-regular:3", 16},
                                                                            {"complete", 5},
                                                                            {"line", 6},
                                                                            {"star", 7},
                                                                            {"hypercube", 8}}) {
    const Problem5 problem = Problem5::squared(nodes);
    const Topology topology = graph(name, nodes);
    expect_exact(problem, topology, network_options(problem, NetworkSolver::nids));
    const std::vector<DecentralizedResult> dgd = train(problem, topology, network_options(problem, NetworkSolver::dgd));
    EXPECT_EQ(dgd[0].session.reason, StopReason::stalled) << name;
    EXPECT_GT(distance(dgd[0].session.w, problem.minimiser()), 1e-6) << name;
  }
}

TEST(DecentralizedExact, TrackingOnUndirectedAndTimeVaryingGraphs) {
  for (const auto& [name, nodes] : std::vector<std::pair<std::string, int>>{
           {"ring", 16}, {"one-peer-exponential", 8}, {"one-peer-exponential", 12}, {"torus", 9}}) {
    const Problem5 problem = Problem5::squared(nodes);
    expect_exact(problem, graph(name, nodes), network_options(problem, NetworkSolver::gradient_tracking));
  }
}

TEST(DecentralizedExact, PushSumOnADirectedGraph) {
  const Problem5 problem = Problem5::squared(8);
  expect_exact(problem, graph("exponential", 8), network_options(problem, NetworkSolver::push_sum));
}

TEST(DecentralizedExact, EveryNodeSeesOneClass) {
  const Problem5 problem = Problem5::sorted(8);
  const std::vector<DecentralizedResult> results =
      train(problem, graph("ring", 8), network_options(problem, NetworkSolver::nids, 1e-10));
  EXPECT_EQ(results[0].session.reason, StopReason::converged);
  EXPECT_NEAR(problem.objective(results[0].session.w), problem.objective(problem.minimiser()), 1e-12);
}

TEST(DecentralizedExact, CompressedMessages) {
  const Problem5 problem = Problem5::squared(8);
  for (const MessageCompression compression :
       {MessageCompression{MessageCompression::Kind::float32, 0},
        MessageCompression{MessageCompression::Kind::float16, 0}, MessageCompression{MessageCompression::Kind::int8, 0},
        MessageCompression{MessageCompression::Kind::top_k, 1},
        MessageCompression{MessageCompression::Kind::top_k, 2}}) {
    DecentralizedOptions options = network_options(problem, NetworkSolver::nids);
    options.session.compression = compression;
    expect_exact(problem, graph("ring", 8), options);
  }
}

TEST(DecentralizedExact, AcceleratedMixingAndLocalSteps) {
  const Problem5 problem = Problem5::squared(16);
  for (const NetworkSolver solver : {NetworkSolver::nids, NetworkSolver::gradient_tracking}) {
    DecentralizedOptions options = network_options(problem, solver);
    options.network.chebyshev = true;
    expect_exact(problem, graph("ring", 16), options);
    options.network.chebyshev = false;
    options.network.local_steps = 4;
    expect_exact(problem, graph("ring", 16), options);
  }
}

TEST(DecentralizedExact, LiveOverThreads) {
  const Problem5 problem = Problem5::squared(5);
  const Topology topology = graph("ring", 5);
  run_threads(5, {}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    const DecentralizedResult result = train_decentralized(mine, endpoint, topology, std::vector<double>(5, 0.0),
                                                           network_options(problem, NetworkSolver::nids));
    EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-10);
  });
}

}  // namespace
}  // namespace muster
