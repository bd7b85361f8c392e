// Every exact rule ends at the minimiser of all rows, on every graph it is for; dgd ends beside it, as far as theory
// says.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "decentralized_shards.h"
#include "muster/error.h"

namespace muster {
namespace {

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
  EXPECT_EQ(first.session.reason, StopReason::converged) << topology.name() << ": " << first.session.detail;
  EXPECT_LT(distance(first.session.w, best), 1e-10) << topology.name();
  for (const double apart : first.consensus_distance) EXPECT_LT(apart, 1e-10) << topology.name();
  for (const DecentralizedResult& result : results) {
    EXPECT_EQ(result.session.w, first.session.w);
    EXPECT_EQ(result.session.rounds, first.session.rounds);
    // All stopped in the same round: every node took as many gradients.
    EXPECT_EQ(std::set<std::int64_t>(result.session.updates.begin(), result.session.updates.end()).size(), 1u);
    EXPECT_EQ(result.consensus_distance, first.consensus_distance);
  }
}

TEST(DecentralizedExact, NidsBringsEveryNodeToTheMinimiserAndDgdDoesNot) {
  for (const auto& [name, nodes] : std::vector<std::pair<std::string, int>>{{"ring", 16},
                                                                            {"torus", 16},
                                                                            {"random-regular:3", 16},
                                                                            {"symmetric-exponential", 12},
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

TEST(DecentralizedExact, PushSumOnDirectedGraphs) {
  const Problem5 problem = Problem5::squared(8);
  expect_exact(problem, graph("exponential", 8), network_options(problem, NetworkSolver::push_sum));
  const Problem5 six = Problem5::squared(6);
  const Topology ring = unequal_directed_ring(6);
  EXPECT_TRUE(ring.column_stochastic() && !ring.row_stochastic());
  expect_exact(six, ring, network_options(six, NetworkSolver::push_sum));
}

TEST(DecentralizedExact, TrainingGoesOnWhereTheEstimateMetTheToleranceAndTheCertificateDoesNot) {
  const Problem5 problem = Problem5::squared(6);
  DecentralizedOptions options = network_options(problem, NetworkSolver::nids);
  int judged = 0;
  options.session.estimate.met = [](double, double square) { return square <= 1; };
  options.session.judge = [&judged](const RoundState& state) -> Problem::Verdict {
    ++judged;  // by all six in turn: fibres of one thread
    return {state.gradient_norm <= 1e-11, StopReason::converged, "the gradient is small"};
  };
  const std::vector<DecentralizedResult> results = train(problem, graph("ring", 6), options);
  EXPECT_EQ(results[0].session.reason, StopReason::converged);
  EXPECT_LT(distance(results[0].session.w, problem.minimiser()), 1e-10);
  EXPECT_GT(judged, 2 * 6);
}

TEST(DecentralizedExact, DgdsCopiesAreHalfAsFarApartWithHalfTheStep) {
  const Problem5 problem = Problem5::squared(6);
  DecentralizedOptions options = network_options(problem, NetworkSolver::dgd);
  options.session.max_rounds = 8'000;
  std::vector<DecentralizedResult> ends;
  for (const double step : {0.008, 0.004}) {
    options.step_size = step;
    ends.push_back(std::move(train(problem, graph("ring", 6), options)[0]));
  }
  for (std::size_t k = 0; k < 6; ++k)
    EXPECT_NEAR(ends[0].consensus_distance[k] / ends[1].consensus_distance[k], 2, 0.1) << k;
  EXPECT_NEAR(distance(ends[0].session.w, problem.minimiser()) / distance(ends[1].session.w, problem.minimiser()), 2,
              0.2);
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
    expect_exact(problem, graph("torus", 16), options);
  }
}

// The rounds that a condition number κ takes on the complete graph of four (lazy: 1 − |λ₂| = 1/2).
std::int64_t rounds_with_local_steps(NetworkSolver solver, double condition, std::int64_t local_steps) {
  const double narrow = 1 / std::sqrt(condition);
  DecentralizedOptions options;
  options.solver = solver;
  options.network.local_steps = local_steps;
  options.session.penalty.assign(2, 0.0);
  options.session.estimate.scale.assign(2, 1.0);
  options.session.estimate.met = [&](double, double square) { return std::sqrt(square) <= 1e-7 / condition; };
  std::int64_t rounds = 0;
  run_simulated(4, {}, {}, [&](Endpoint& endpoint) {
    const double target = 1.0 + endpoint.rank();
    OwnShard mine({{{1, 0}, target}, {{0, narrow}, -target * narrow}}, false, 2);
    const DecentralizedResult result =
        train_decentralized(mine, endpoint, graph("complete", 4), std::vector<double>(2, 0.0), options);
    EXPECT_EQ(result.session.reason, StopReason::converged);
    EXPECT_NEAR(result.session.w[0], 2.5, 1e-5);
    EXPECT_NEAR(result.session.w[1], -2.5, 1e-5);
    rounds = result.session.rounds;
  });
  return rounds;
}

TEST(DecentralizedExact, LocalStepsSaveRoundsUpToTheRootOfConditionTimesGap) {
  // √(256 · ½ / 2) = 8 of them.
  for (const NetworkSolver solver : {NetworkSolver::nids, NetworkSolver::gradient_tracking}) {
    const double one = static_cast<double>(rounds_with_local_steps(solver, 256, 1));
    const double four = static_cast<double>(rounds_with_local_steps(solver, 256, 4));
    EXPECT_NEAR(one / four, 4, 0.4);
    EXPECT_NEAR(one / static_cast<double>(rounds_with_local_steps(solver, 256, 8)), 8, 1.6);
    EXPECT_GT(rounds_with_local_steps(solver, 256, 64), four);
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
