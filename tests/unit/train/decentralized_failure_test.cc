// Nodes that die, networks that fall apart, links that are cut for a while; and who speaks to whom about what.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "cluster/endpoint_decorator.h"
#include "cluster/tags.h"
#include "cluster/threads/threads_launch.h"
#include "decentralized_losses.h"
#include "muster/error.h"
#include "train/gossip.h"

namespace muster {
namespace {

class UnreadableShard final : public OwnShard {
 public:
  UnreadableShard(OwnShard shard, int gradient, std::string sentence)
      : OwnShard(std::move(shard)), left_(gradient), sentence_(std::move(sentence)) {}
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    if (--left_ == 0) throw InputError(sentence_);
    return OwnShard::value_and_gradient(w, value, gradient, tallies);
  }

 private:
  int left_;
  std::string sentence_;
};

class Rules : public testing::TestWithParam<NetworkSolver> {};
INSTANTIATE_TEST_SUITE_P(DecentralizedFailure, Rules,
                         testing::Values(NetworkSolver::nids, NetworkSolver::gradient_tracking, NetworkSolver::push_sum,
                                         NetworkSolver::pairwise));

// The graph named, or, for push-sum, a directed one.
Topology graph_for(NetworkSolver solver, const std::string& name, int nodes) {
  return graph(solver == NetworkSolver::push_sum ? "exponential" : name, nodes);
}

TEST_P(Rules, ADeadNodeIsDroppedAndTheOthersEndAtTheirMinimiser) {
  const Problem5 problem = Problem5::squared(8);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 3, .at = 0.05});
  const LossOutcome outcome = train_with_losses(problem, graph_for(GetParam(), "ring", 8),
                                                network_options(problem, GetParam(), 1e-10), model, false);
  EXPECT_TRUE(outcome.errors.empty()) << *outcome.errors.begin();
  ASSERT_EQ(outcome.results.size(), 7u);
  for (const auto& [rank, result] : outcome.results) {
    EXPECT_EQ(result.session.reason, StopReason::converged);
    EXPECT_LT(distance(result.session.w, problem.minimiser({3})), 1e-9);
    ASSERT_EQ(result.session.lost.size(), 1u);
    EXPECT_EQ(result.session.lost[0].rank, 3);
    EXPECT_EQ(result.session.lost[0].rows_taken_over_by, -1);
  }
}

TEST_P(Rules, WithTakeoverTheEndIsTheOptimumOfAllRows) {
  const Problem5 problem = Problem5::squared(8);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 3, .at = 0.05});
  model.deaths.push_back({.node = 6, .at = 0.9});
  const LossOutcome outcome = train_with_losses(problem, graph_for(GetParam(), "hypercube", 8),
                                                network_options(problem, GetParam(), 1e-10), model, true);
  EXPECT_TRUE(outcome.errors.empty()) << *outcome.errors.begin();
  ASSERT_GE(outcome.results.size(), 6u);
  for (const auto& [rank, result] : outcome.results) {
    EXPECT_EQ(result.session.reason, StopReason::converged);
    EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-9);
    ASSERT_GE(result.session.lost.size(), 1u);
    EXPECT_EQ(result.session.lost[0].rows_taken_over_by, 1);  // hypercube: of 1, 2, 7; exponential: of 1, 2, 4, 5, 7
  }
}

TEST_P(Rules, ADeathAtAnyMomentDoesNoHarm) {
  // In set-up, in rounds, and closely spaced where the run ends: in the meeting, the agreement, after them.
  const Problem5 problem = Problem5::squared(5);
  const std::vector<double> all = problem.minimiser(), left = problem.minimiser({2});
  const DecentralizedOptions options = network_options(problem, GetParam(), 1e-6);
  const double end =
      train_with_losses(problem, graph_for(GetParam(), "ring", 5), options, slow_cluster(), false).seconds;
  std::set<std::size_t> living;
  for (int k = 0; k < 60; ++k) {
    ClusterModel model = slow_cluster();
    model.deaths.push_back({.node = 2, .at = k < 15 ? end * k / 15 : end - 5e-5 * (56 - k)});
    const LossOutcome outcome = train_with_losses(problem, graph_for(GetParam(), "ring", 5), options, model, false);
    EXPECT_TRUE(outcome.errors.empty()) << model.deaths[0].at << ": " << *outcome.errors.begin();
    living.insert(outcome.results.size());
    const bool lost = !outcome.results.at(0).session.lost.empty();
    for (const auto& [rank, result] : outcome.results) {
      EXPECT_EQ(result.session.reason, StopReason::converged) << model.deaths[0].at;
      EXPECT_LT(distance(result.session.w, lost ? left : all), 1e-4) << model.deaths[0].at << ", rank " << rank;
      EXPECT_EQ(!result.session.lost.empty(), lost) << model.deaths[0].at << ", rank " << rank;
    }
  }
  EXPECT_EQ(living, (std::set<std::size_t>{4, 5}));
}

TEST(DecentralizedFailure, WhereWeightsLoseTheirRowSumsPushSumGoesOnAndItIsSaid) {
  const Problem5 problem = Problem5::squared(8);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 3, .at = 0.02});
  DecentralizedOptions plain = network_options(problem, NetworkSolver::gradient_tracking, 1e-10), much = plain;
  much.network.local_steps = 2;
  much.session.compression = {MessageCompression::Kind::float32, 0};
  for (const auto& [name, options, said] : std::vector<std::tuple<std::string, DecentralizedOptions, std::string>>{
           {"one-peer-exponential", plain, "push-sum took the place of gradient-tracking"},
           {"exponential", much, "gradient-tracking, without --local-steps and --compress"}}) {
    const LossOutcome outcome = train_with_losses(problem, graph(name, 8), options, model, false);
    ASSERT_EQ(outcome.results.size(), 7u);
    for (const auto& [rank, result] : outcome.results) {
      EXPECT_EQ(result.session.reason, StopReason::converged) << result.session.detail;
      EXPECT_LT(distance(result.session.w, problem.minimiser({3})), 1e-9);
      EXPECT_EQ(result.solver, NetworkSolver::push_sum);
      ASSERT_EQ(result.notes.size(), 1u);
      EXPECT_TRUE(result.notes[0].ends_with(said)) << result.notes[0];
    }
  }
}

TEST(DecentralizedFailure, WhereTheNodeWhoseCopyWasWantedIsGoneTheAverageIsTakenAndItIsSaid) {
  const Problem5 problem = Problem5::squared(8);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 3, .at = 0.05});
  DecentralizedOptions options = network_options(problem, NetworkSolver::nids, 1e-10);
  for (const int node : {2, 3}) {
    options.network.node = node;
    const LossOutcome outcome = train_with_losses(problem, graph("ring", 8), options, model, false);
    ASSERT_EQ(outcome.results.size(), 7u);
    const std::vector<std::string>& notes = outcome.results.at(0).notes;
    EXPECT_EQ(notes.size(), node == 3 ? 1u : 0u);
    if (!notes.empty()) {
      EXPECT_EQ(notes[0], "node 3 is not among the nodes 0-2,4-7: their model is the average of their copies");
    }
  }
}

TEST_P(Rules, ANodeThatTookRowsOverAndDiesIsTakenOverWithThem) {
  const Problem5 problem = Problem5::squared(8);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 3, .at = 0.05});  // its rows go to 1, which is alone to have them
  model.deaths.push_back({.node = 1, .at = 0.6});
  const LossOutcome outcome = train_with_losses(problem, graph_for(GetParam(), "hypercube", 8),
                                                network_options(problem, GetParam(), 1e-10), model, true);
  EXPECT_TRUE(outcome.errors.empty()) << *outcome.errors.begin();
  ASSERT_EQ(outcome.results.size(), 6u);
  for (const auto& [rank, result] : outcome.results) {
    EXPECT_EQ(result.session.reason, StopReason::converged);
    EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-9);
    ASSERT_EQ(result.session.lost.size(), 2u);
    for (const LostRank& lost : result.session.lost) EXPECT_EQ(lost.rows_taken_over_by, 0) << lost.rank;
  }
}

// Node 5 can not read a row: in its twentieth gradient, or, with unreadable_at_end, when all have met.
TEST_P(Rules, AnInputErrorOfOneNodeIsThatOfAllAtOnce) {
  const Problem5 problem = Problem5::squared(8);
  const std::string sentence = "rows.csv, line 17, column 3: 'x' is no number";
  for (const bool unreadable_at_end : {false, true}) {
    std::map<int, double> ended_at;
    const auto train_rank = [&](Endpoint& endpoint) {
      const int rank = endpoint.rank();
      UnreadableShard mine(problem.shard(rank), rank == 5 && !unreadable_at_end ? 20 : -1, sentence);
      DecentralizedOptions options = network_options(problem, GetParam(), 1e-6);
      if (unreadable_at_end && rank == 5)
        options.session.judge = [&](const RoundState&) -> Problem::Verdict { throw InputError(sentence); };
      try {
        train_decentralized(mine, endpoint, graph_for(GetParam(), "ring", 8),
                            std::vector<double>(Problem5::kDimension, 0.0), options);
      } catch (const InputError& error) {
        EXPECT_EQ(error.what(), sentence);
        ended_at[rank] = endpoint.now();
        throw;
      }
    };
    EXPECT_THROW(run_simulated(8, slow_cluster(), {.tolerate_losses = true}, train_rank), InputError);
    ASSERT_EQ(ended_at.size(), 8u);
    for (const auto& [rank, at] : ended_at) EXPECT_NEAR(at, ended_at.at(5), 0.05) << rank;
  }
}

TEST(DecentralizedFailure, ACutNetworkIsReportedWithItsParts) {
  const Problem5 problem = Problem5::squared(7);
  ClusterModel model = slow_cluster();
  model.deaths.push_back({.node = 2, .at = 0.05});
  const LossOutcome outcome =
      train_with_losses(problem, graph("line", 7), network_options(problem, NetworkSolver::nids), model, false);
  EXPECT_TRUE(outcome.results.empty());
  ASSERT_EQ(outcome.errors.size(), 1u);
  EXPECT_NE(outcome.errors.begin()->find("3-6 | 0-1; with --allow-parts"), std::string::npos)
      << *outcome.errors.begin();
}

TEST_P(Rules, ALinkThatIsSlowOrCutForAWhileDoesNoHarm) {
  const Problem5 problem = Problem5::squared(6);
  for (const bool cut : {true, false}) {
    LinkFault fault;
    fault.nodes = {1};
    fault.others = {2};
    fault.at = 0.02;
    fault.until = 0.3;
    fault.cut = cut;
    if (!cut) fault.delay_seconds = 0.02, fault.loss = 0.1, fault.retransmit_seconds = 0.01;
    ClusterModel model = slow_cluster();
    model.link_faults.push_back(fault);
    const LossOutcome outcome = train_with_losses(problem, graph_for(GetParam(), "ring", 6),
                                                  network_options(problem, GetParam()), model, false);
    ASSERT_EQ(outcome.results.size(), 6u);
    EXPECT_LT(distance(outcome.results.at(0).session.w, problem.minimiser()), 1e-10);
    EXPECT_TRUE(outcome.results.at(0).session.lost.empty());
  }
}

// Node 0 throws in its twentieth round, live.
void lose_a_thread(const Problem5& problem, NetworkSolver solver, bool takeover) {
  const Topology topology = graph_for(solver, "hypercube", 8);
  const std::vector<double> best = takeover ? problem.minimiser() : problem.minimiser({0});
  std::atomic<int> ended = 0;
  run_threads(8, {.tolerate_losses = true}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    DecentralizedOptions options = network_options(problem, solver, 1e-10);
    std::int64_t rounds = 0;
    options.session.on_round = [&](const RoundReport&, std::span<const double>) {
      if (endpoint.rank() == 0 && ++rounds == 20) throw std::runtime_error("a node breaks");
    };
    if (takeover) options.session.adopt = [&](int lost) { mine.take_over(problem.shard(lost)); };
    const DecentralizedResult result =
        train_decentralized(mine, endpoint, topology, std::vector<double>(Problem5::kDimension, 0.0), options);
    EXPECT_EQ(result.session.reason, StopReason::converged);
    EXPECT_LT(distance(result.session.w, best), 1e-9);
    ASSERT_EQ(result.session.lost.size(), 1u);
    EXPECT_EQ(result.session.lost[0].rank, 0);
    EXPECT_EQ(result.session.lost[0].rows_taken_over_by, takeover ? 1 : -1);
    EXPECT_NE(result.session.lost[0].sentence.find("a node breaks"), std::string::npos)
        << result.session.lost[0].sentence;
    ++ended;
  });
  EXPECT_EQ(ended, 7);
}

TEST_P(Rules, ANodeThatThrowsOnThreadsIsDropped) {
  lose_a_thread(Problem5::squared(8), GetParam(), false);
}

TEST_P(Rules, ANodeThatThrowsOnThreadsIsTakenOver) {
  lose_a_thread(Problem5::squared(8), GetParam(), true);
}

// What each rank sends with tags of trainers: to whom, and how many bytes.
class Counting final : public EndpointDecorator {
 public:
  Counting(Endpoint& inner, std::map<int, std::set<std::size_t>>& sizes) : EndpointDecorator(inner), sizes_(sizes) {}
  void send(int to, Tag tag, Buffer payload) override {
    EXPECT_TRUE(tag == kGossipTag || tag >= kFirstReservedTag) << tag;
    if (tag < kFirstReservedTag) sizes_[to].insert(payload.size());
    EndpointDecorator::send(to, tag, std::move(payload));
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }

 private:
  std::map<int, std::set<std::size_t>>& sizes_;
};

// How many messages all ranks send, and in which voice.
class Tallying final : public EndpointDecorator {
 public:
  Tallying(Endpoint& inner, std::map<std::string, std::int64_t>& sent) : EndpointDecorator(inner), sent_(sent) {}
  void send(int to, Tag tag, Buffer payload) override {
    ++sent_[tag < kFirstReservedTag ? "trainer" : "collective"];
    EndpointDecorator::send(to, tag, std::move(payload));
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }

 private:
  std::map<std::string, std::int64_t>& sent_;
};

TEST(DecentralizedMessages, NothingButNeighboursTalkWhileTraining) {
  // Three times as many rounds take no message more but those to neighbours: collectives are for set-up and the end.
  const Problem5 problem = Problem5::squared(8);
  const Topology topology = graph("torus", 8);
  std::vector<std::map<std::string, std::int64_t>> sent(2);
  for (const int runs : {0, 1}) {
    run_simulated(8, {}, {}, [&](Endpoint& endpoint) {
      Tallying tallying(endpoint, sent[static_cast<std::size_t>(runs)]);
      OwnShard mine = problem.shard(endpoint.rank());
      DecentralizedOptions options = network_options(problem, NetworkSolver::nids, 0);
      options.session.max_rounds = runs == 0 ? 40 : 120;
      train_decentralized(mine, tallying, topology, std::vector<double>(Problem5::kDimension, 0.0), options);
    });
  }
  EXPECT_GT(sent[0]["collective"], 0);
  EXPECT_EQ(sent[0]["collective"], sent[1]["collective"]);
  std::size_t links = 0;
  for (int k = 0; k < 8; ++k) links += topology.row(k).out.size();
  EXPECT_EQ(sent[1]["trainer"] - sent[0]["trainer"], static_cast<std::int64_t>(80 * links));
}

TEST(DecentralizedMessages, GoToNeighboursAloneAndHoldModelsNotRows) {
  const Problem5 problem = Problem5::squared(8);
  for (const auto& [solver, name, numbers] :
       std::vector<std::tuple<NetworkSolver, std::string, std::size_t>>{{NetworkSolver::dgd, "ring", 5},
                                                                        {NetworkSolver::nids, "ring", 5},
                                                                        {NetworkSolver::gradient_tracking, "ring", 10},
                                                                        {NetworkSolver::push_sum, "exponential", 11}}) {
    const Topology topology = graph(name, 8);
    run_simulated(8, {}, {}, [&](Endpoint& endpoint) {
      std::map<int, std::set<std::size_t>> sizes;
      Counting counting(endpoint, sizes);
      OwnShard mine = problem.shard(endpoint.rank());
      train_decentralized(mine, counting, topology, std::vector<double>(Problem5::kDimension, 0.0),
                          network_options(problem, solver));
      std::set<int> neighbours, told;
      for (const WeightedNeighbour& to : topology.row(endpoint.rank()).out) neighbours.insert(to.node);
      for (const auto& [to, bytes] : sizes) {
        told.insert(to);
        // The same size always, whatever the shard: a model, and the few numbers the nodes agree by.
        EXPECT_EQ(bytes, std::set<std::size_t>{numbers * sizeof(double) + kAgreementBytes});
      }
      EXPECT_EQ(told, neighbours);
    });
  }
}

}  // namespace
}  // namespace muster
