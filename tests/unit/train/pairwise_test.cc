// The asynchronous network: that it ends at the minimiser of all rows whatever the nodes' speeds; that nobody waits for
// ever, or for the slowest.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "base/cancellation.h"
#include "base/random.h"
#include "cluster/endpoint_decorator.h"
#include "cluster/sim/sim_launch.h"
#include "cluster/tags.h"
#include "cluster/threads/threads_launch.h"
#include "decentralized_shards.h"
#include "muster/error.h"
#include "train/pairwise_messages.h"
#include "train/pairwise_rule.h"
#include "train/phased_maxima.h"

namespace muster {
namespace {

Topology graph(const std::string& name, int nodes) {
  return make_topology(name, nodes, MixingWeights::automatic, 1);
}

// Computation takes long against messages; slow nodes ten times as long.
ClusterModel cluster(int nodes, const std::set<int>& slow) {
  ClusterModel model;
  model.nodes.resize(static_cast<std::size_t>(nodes));
  for (int node = 0; node < nodes; ++node)
    model.nodes[static_cast<std::size_t>(node)].flops_per_second = slow.contains(node) ? 1e5 : 1e6;
  return model;
}

DecentralizedOptions pairwise_options(const Problem5& problem, double tolerance = 1e-11) {
  return network_options(problem, NetworkSolver::pairwise, tolerance);
}

std::vector<DecentralizedResult> run_pairwise(const Problem5& problem, const Topology& topology,
                                              const DecentralizedOptions& options, const ClusterModel& model) {
  std::vector<DecentralizedResult> results(problem.shards.size());
  run_simulated(topology.nodes(), model, {}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    results[static_cast<std::size_t>(endpoint.rank())] =
        train_decentralized(mine, endpoint, topology, std::vector<double>(Problem5::kDimension, 0.0), options);
  });
  return results;
}

void expect_at(const std::vector<double>& best, const std::vector<DecentralizedResult>& results,
               const std::string& what) {
  const DecentralizedResult& first = results[0];
  EXPECT_EQ(first.session.reason, StopReason::converged) << what << ": " << first.session.detail;
  EXPECT_LT(distance(first.session.w, best), 1e-10) << what;
  for (const double apart : first.consensus_distance) EXPECT_LT(apart, 1e-10) << what;
  for (const DecentralizedResult& result : results) {
    EXPECT_EQ(result.session.w, first.session.w) << what;
    EXPECT_EQ(result.session.reason, first.session.reason) << what;
  }
}

TEST(Pairwise, EndsAtTheMinimiserThoughSomeNodesAreTenTimesSlower) {
  for (const auto& [name, nodes, slow] :
       std::vector<std::tuple<std::string, int, std::set<int>>>{{"ring", 8, {}},
                                                                {"ring", 16, {1}},
                                                                {"ring", 7, {0, 3}},
                                                                {"torus", 16, {2, 7, 11}},
                                                                {"star", 7, {0}},
                                                                {"star", 7, {3, 4}},
                                                                {"star", 7, {1, 2, 3, 4, 5, 6}},
                                                                {"complete", 7, {5}},
                                                                {"line", 6, {0, 2, 4}},
                                                                {"random-regular:3", 12, {1, 8}},
                                                                {"hypercube", 8, {0}},
                                                                {"ring", 2, {1}},
                                                                {"ring", 1, {}},
                                                                {"ring", 8, {0, 2, 4, 6}}}) {
    const Problem5 problem = Problem5::squared(nodes);
    const auto results = run_pairwise(problem, graph(name, nodes), pairwise_options(problem), cluster(nodes, slow));
    expect_at(problem.minimiser(), results, name + " of " + std::to_string(nodes));
  }
}

TEST(Pairwise, NodesThatSeeOneClassEachEndAtTheMinimiser) {
  const Problem5 problem = Problem5::sorted(8);
  const auto results = run_pairwise(problem, graph("ring", 8), pairwise_options(problem, 1e-10), cluster(8, {1, 2}));
  EXPECT_EQ(results[0].session.reason, StopReason::converged);
  EXPECT_NEAR(problem.objective(results[0].session.w), problem.objective(problem.minimiser()), 1e-12);
}

// By many proximal gradient steps on all rows.
std::vector<double> l1_minimiser(const Problem5& problem, double q) {
  OwnShard all = problem.whole();
  std::vector<double> w(Problem5::kDimension, 0.0), g(w);
  for (int step = 0; step < 20000; ++step) {
    double value = 0;
    all.value_and_gradient(w, value, g, {});
    for (std::size_t j = 0; j < w.size(); ++j) {
      const double z = w[j] - 0.3 * (g[j] / all.weight() + problem.l2 * w[j]);
      w[j] = std::copysign(std::max(std::abs(z) - 0.3 * q, 0.0), z);
    }
  }
  return w;
}

TEST(Pairwise, WithL1EndsAtTheMinimiserWithItsZeros) {
  const Problem5 problem = Problem5::squared(8);
  constexpr double kQ = 0.05;
  DecentralizedOptions options = pairwise_options(problem);
  options.session.l1.assign(Problem5::kDimension, kQ);
  const std::vector<double> best = l1_minimiser(problem, kQ);
  ASSERT_TRUE(std::any_of(best.begin(), best.end(), [](double x) { return x == 0; }));
  const auto results = run_pairwise(problem, graph("ring", 8), options, cluster(8, {3}));
  expect_at(best, results, "l1");
  for (std::size_t j = 0; j < best.size(); ++j) EXPECT_EQ(results[0].session.w[j] == 0, best[j] == 0) << j;
}

TEST(Pairwise, CompressedMessagesEndAtTheMinimiser) {
  const Problem5 problem = Problem5::squared(8);
  for (const MessageCompression& compression : kLossy) {
    DecentralizedOptions options = pairwise_options(problem);
    options.session.compression = compression;
    const auto results = run_pairwise(problem, graph("ring", 8), options, cluster(8, {2}));
    expect_at(problem.minimiser(), results, std::to_string(static_cast<int>(compression.kind)));
  }
}

TEST(Pairwise, NobodyWaitsForEverInAnyGraphOrOrder) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const RandomStream random(seed, 0, RandomPurpose::start_vector);
    const std::vector<std::string> names = {"ring", "complete", "star", "line", "random-regular:4"};
    const std::string& name = names[seed % names.size()];
    const int nodes = 5 + static_cast<int>(random.uniform(0) * 5);
    const Problem5 problem = Problem5::squared(nodes);
    ClusterModel model = cluster(nodes, {});
    for (int k = 0; k < nodes; ++k)  // powers of 2 only: many things happen at the same instant
      if (seed % 3 != 0)
        model.nodes[static_cast<std::size_t>(k)].flops_per_second /=
            std::exp2(std::floor(5 * random.uniform(static_cast<std::uint64_t>(k) + 1)));
    model.seed = model.tie_seed = seed;
    if (seed % 2 == 1) model.inter_host.jitter_seconds = 1e-4;
    DecentralizedOptions options = pairwise_options(problem);
    options.session.max_rounds = 150;
    const auto results = run_pairwise(problem, graph(name, nodes), options, model);
    EXPECT_EQ(results[0].session.reason, StopReason::max_rounds) << "seed " << seed;
    EXPECT_EQ(results[0].session.rounds, 150) << "seed " << seed;
  }
}

// Comes late whenever it looks for messages: what others have sent by then is all there at once.
class Late final : public EndpointDecorator {
 public:
  explicit Late(Endpoint& inner) : EndpointDecorator(inner) {}
  std::optional<Message> try_receive(const Match& match) override {
    charge({.flops = 1000});
    return EndpointDecorator::try_receive(match);
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }
};

// Nodes that may step no more have nothing but messages to wait for: not even for those where a phase can end already.
TEST(Pairwise, NobodyWaitsWhoHasHeardAllThatAPhaseNeeds) {
  for (const std::string name : {"ring", "complete", "line"}) {
    const Problem5 problem = Problem5::squared(6, true);
    DecentralizedOptions options = pairwise_options(problem);
    options.session.max_rounds = 3;
    run_simulated(6, cluster(6, {}), {}, [&](Endpoint& endpoint) {
      Late late(endpoint);
      OwnShard mine = problem.shard(endpoint.rank());
      const DecentralizedResult result =
          train_decentralized(mine, late, graph(name, 6), std::vector<double>(Problem5::kDimension, 0.0), options);
      EXPECT_EQ(result.session.reason, StopReason::max_rounds) << name;
    });
  }
}

TEST(Pairwise, ASlowNodeDoesNotSlowTheOthers) {
  const Problem5 problem = Problem5::squared(8, true);
  DecentralizedOptions options = pairwise_options(problem);
  options.session.estimate.met = {};
  options.session.judge = [](const RoundState&) { return Problem::Verdict{}; };
  options.session.max_seconds = 0.2;
  const auto alike = run_pairwise(problem, graph("ring", 8), options, cluster(8, {}));
  const auto uneven = run_pairwise(problem, graph("ring", 8), options, cluster(8, {3}));
  const auto rate = [](const DecentralizedResult& result, std::size_t node) {
    return static_cast<double>(result.session.updates[node]) / result.session.history.back().seconds;
  };
  for (std::size_t node = 0; node < 8; ++node) {
    if (node == 3) continue;
    EXPECT_GT(rate(uneven[0], node), 0.6 * rate(alike[0], node)) << node;
  }
  EXPECT_LT(rate(uneven[0], 3), 0.15 * rate(alike[0], 3));
  EXPECT_EQ(uneven[0].session.reason, StopReason::max_time);
}

// An objective whose curvature is twenty times what it says: 1/L is far too long a step.
class UnderstatedShard final : public OwnShard {
 public:
  using OwnShard::OwnShard;
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    const Work work = OwnShard::curvature_product(v, product);
    for (double& value : product) value *= 0.05;
    return work;
  }
};

TEST(Pairwise, AStepThatIsTooLongIsShortenedByAllTogether) {
  const Problem5 problem = Problem5::squared(6);
  run_simulated(6, cluster(6, {2}), {}, [&](Endpoint& endpoint) {
    UnderstatedShard mine(problem.shards[static_cast<std::size_t>(endpoint.rank())], false, Problem5::kDimension);
    const DecentralizedResult result = train_decentralized(
        mine, endpoint, graph("ring", 6), std::vector<double>(Problem5::kDimension, 0.0), pairwise_options(problem));
    EXPECT_EQ(result.session.reason, StopReason::converged) << result.session.detail;
    EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-10);
  });
}

TEST(Pairwise, StopsForEveryReasonOnAllNodesTogether) {
  const Problem5 problem = Problem5::squared(6);
  const ClusterModel model = cluster(6, {4});
  DecentralizedOptions options = pairwise_options(problem);
  options.session.max_rounds = 17;
  for (const DecentralizedResult& result : run_pairwise(problem, graph("ring", 6), options, model)) {
    EXPECT_EQ(result.session.reason, StopReason::max_rounds);
    EXPECT_EQ(result.session.rounds, 17);
    EXPECT_LE(*std::max_element(result.session.updates.begin(), result.session.updates.end()), 17);
  }
  options = pairwise_options(problem);
  options.step_size = 10;
  for (const DecentralizedResult& result : run_pairwise(problem, graph("ring", 6), options, model))
    EXPECT_EQ(result.session.reason, StopReason::diverged);

  CancellationToken token;
  std::vector<StopReason> reasons(6);
  run_simulated(6, model, {}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    DecentralizedOptions own = pairwise_options(problem);
    if (endpoint.rank() == 5) own.session.cancellation = &token;
    own.session.on_round = [&](const RoundReport& report, std::span<const double>) {
      if (report.round == 10) token.cancel();
    };
    reasons[static_cast<std::size_t>(endpoint.rank())] =
        train_decentralized(mine, endpoint, graph("ring", 6), std::vector<double>(Problem5::kDimension, 0.0), own)
            .session.reason;
  });
  EXPECT_EQ(reasons, std::vector<StopReason>(6, StopReason::interrupted));
}

TEST(Pairwise, GoesOnWhereTheExactGradientMissesTheTolerance) {
  const Problem5 problem = Problem5::squared(6);
  DecentralizedOptions options = pairwise_options(problem);
  options.session.estimate.met = [](double, double square) { return square <= 1e-6; };  // too easily content
  const auto results = run_pairwise(problem, graph("ring", 6), options, cluster(6, {1}));
  expect_at(problem.minimiser(), results, "tightened");
}

TEST(Pairwise, DirectedAndChangingGraphsAreRefused) {
  const Problem5 problem = Problem5::squared(8);
  for (const std::string name : {"exponential", "one-peer-exponential"}) {
    try {
      run_pairwise(problem, graph(name, 8), pairwise_options(problem), {});
      ADD_FAILURE() << name;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("pairwise"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

// Whom each rank sends to with tags of trainers.
class Addressees final : public EndpointDecorator {
 public:
  Addressees(Endpoint& inner, std::map<int, int>& messages) : EndpointDecorator(inner), messages_(messages) {}
  void send(int to, Tag tag, Buffer payload) override {
    if (tag < kFirstReservedTag) {
      EXPECT_EQ(tag, kPairTag);
      EXPECT_LE(payload.size(), kPairMessageBytes + 8 + Problem5::kDimension * sizeof(double));
      ++messages_[to];
    }
    EndpointDecorator::send(to, tag, std::move(payload));
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }

 private:
  std::map<int, int>& messages_;
};

TEST(Pairwise, MessagesGoToNeighboursAloneAndHoldOneCopyAtMost) {
  const Problem5 problem = Problem5::squared(9);
  for (const std::string name : {"ring", "torus", "star"}) {
    const Topology topology = graph(name, 9);
    run_simulated(9, cluster(9, {4}), {}, [&](Endpoint& endpoint) {
      std::map<int, int> messages;
      Addressees counting(endpoint, messages);
      OwnShard mine = problem.shard(endpoint.rank());
      train_decentralized(mine, counting, topology, std::vector<double>(Problem5::kDimension, 0.0),
                          pairwise_options(problem));
      std::set<int> neighbours, told;
      for (const WeightedNeighbour& to : topology.row(endpoint.rank()).out) neighbours.insert(to.node);
      for (const auto& [to, count] : messages) told.insert(to);
      EXPECT_EQ(told, neighbours) << name;
    });
  }
}

TEST(Pairwise, LiveOverThreads) {
  const Problem5 problem = Problem5::squared(5);
  for (const std::string name : {"ring", "complete"}) {
    run_threads(5, {}, [&](Endpoint& endpoint) {
      OwnShard mine = problem.shard(endpoint.rank());
      const DecentralizedResult result =
          train_decentralized(mine, endpoint, graph(name, 5), std::vector<double>(5, 0.0), pairwise_options(problem));
      EXPECT_EQ(result.session.reason, StopReason::converged);
      EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-10);
    });
  }
}

}  // namespace
}  // namespace muster
