// The asynchronous network: its rule by hand and by its laws; that it ends at the minimiser of all rows whatever the
// nodes' speeds; that nobody waits for ever, or for the slowest.
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

using Role = PairwiseRule::Role;

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
  const Topology line = graph("line", 6);
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

const std::vector<MessageCompression> kLossy = {{MessageCompression::Kind::float32, 0},
                                                {MessageCompression::Kind::float16, 0},
                                                {MessageCompression::Kind::int8, 0},
                                                {MessageCompression::Kind::top_k, 2}};

TEST(Pairwise, CompressedMessagesEndAtTheMinimiser) {
  const Problem5 problem = Problem5::squared(8);
  for (const MessageCompression& compression : kLossy) {
    DecentralizedOptions options = pairwise_options(problem);
    options.session.compression = compression;
    const auto results = run_pairwise(problem, graph("ring", 8), options, cluster(8, {2}));
    expect_at(problem.minimiser(), results, std::to_string(static_cast<int>(compression.kind)));
  }
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
