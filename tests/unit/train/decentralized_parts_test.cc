// Networks that deaths cut into parts: each goes on by itself, to the minimiser of its own rows.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <stdexcept>

#include "cluster/threads/threads_launch.h"
#include "decentralized_losses.h"

namespace muster {
namespace {

using Parts = std::vector<std::vector<int>>;

class PartsOf : public testing::TestWithParam<NetworkSolver> {};
INSTANTIATE_TEST_SUITE_P(DecentralizedParts, PartsOf,
                         testing::Values(NetworkSolver::nids, NetworkSolver::gradient_tracking, NetworkSolver::push_sum,
                                         NetworkSolver::pairwise));

DecentralizedOptions parts_options(const Problem5& problem, NetworkSolver solver, double tolerance = 1e-10) {
  DecentralizedOptions options = network_options(problem, solver, tolerance);
  options.network.allow_parts = true;
  return options;
}

ClusterModel with_deaths(const std::vector<std::pair<int, double>>& deaths) {
  ClusterModel model = slow_cluster();
  for (const auto& [node, at] : deaths) model.deaths.push_back({.node = node, .at = at});
  return model;
}

// The minimiser of F over the rows of these nodes alone.
std::vector<double> minimiser_of(const Problem5& problem, const std::vector<int>& nodes) {
  std::vector<int> others;
  for (int k = 0; k < static_cast<int>(problem.shards.size()); ++k)
    if (std::find(nodes.begin(), nodes.end(), k) == nodes.end()) others.push_back(k);
  return problem.minimiser(others);
}

// That these are the parts, each with one model, of its own rows.
void expect_parts(const Problem5& problem, const LossOutcome& outcome, const Parts& parts) {
  EXPECT_TRUE(outcome.errors.empty()) << *outcome.errors.begin();
  std::size_t nodes = 0;
  for (const std::vector<int>& part : parts) {
    nodes += part.size();
    const std::vector<double> best = minimiser_of(problem, part);
    for (const int rank : part) {
      ASSERT_TRUE(outcome.results.contains(rank)) << rank;
      const DecentralizedResult& result = outcome.results.at(rank);
      EXPECT_TRUE(result.cut);
      EXPECT_EQ(outcome.together.at(rank), part);
      EXPECT_EQ(result.session.reason, StopReason::converged) << result.session.detail;
      EXPECT_LT(distance(result.session.w, best), 1e-9) << rank;
      EXPECT_EQ(result.session.w, outcome.results.at(part.front()).session.w);
      for (std::size_t k = 0; k < result.consensus_distance.size(); ++k) {
        const bool inside = std::binary_search(part.begin(), part.end(), static_cast<int>(k));
        EXPECT_LE(result.consensus_distance[k], inside ? 1e-6 : 0);
      }
    }
  }
  EXPECT_EQ(outcome.results.size(), nodes);
}

TEST_P(PartsOf, ALineCutInTwoHasAModelOfEitherPartsRows) {
  const Problem5 problem = Problem5::squared(8);
  const LossOutcome outcome =
      train_with_losses(problem, graph("line", 8), parts_options(problem, GetParam()), with_deaths({{3, 0.05}}), false);
  expect_parts(problem, outcome, {{0, 1, 2}, {4, 5, 6, 7}});
  for (const auto& [rank, result] : outcome.results) {
    ASSERT_EQ(result.session.lost.size(), 1u);
    EXPECT_EQ(result.session.lost[0].rank, 3);
    EXPECT_EQ(result.leads, rank < 3);
  }
}

TEST_P(PartsOf, TwoDeathsCutARing) {
  const Problem5 problem = Problem5::squared(8);
  const LossOutcome outcome = train_with_losses(problem, graph("ring", 8), parts_options(problem, GetParam()),
                                                with_deaths({{1, 0.05}, {4, 0.6}}), false);
  expect_parts(problem, outcome, {{0, 5, 6, 7}, {2, 3}});
}

TEST_P(PartsOf, APartIsCutOnceMoreAndMayBeASingleNode) {
  const Problem5 problem = Problem5::squared(9);
  const LossOutcome outcome = train_with_losses(problem, graph("line", 9), parts_options(problem, GetParam()),
                                                with_deaths({{4, 0.05}, {6, 0.6}}), false);
  expect_parts(problem, outcome, {{0, 1, 2, 3}, {5}, {7, 8}});
  EXPECT_EQ(outcome.results.at(0).session.lost.size(), 1u);
  EXPECT_EQ(outcome.results.at(8).session.lost.size(), 2u);
}

TEST_P(PartsOf, WithTakeoverTheRowsOfTheDeadAreThoseOfItsHeirsPart) {
  const Problem5 problem = Problem5::squared(8);
  const LossOutcome outcome =
      train_with_losses(problem, graph("line", 8), parts_options(problem, GetParam()), with_deaths({{3, 0.05}}), true);
  ASSERT_EQ(outcome.results.size(), 7u);
  EXPECT_LT(distance(outcome.results.at(0).session.w, minimiser_of(problem, {0, 1, 2, 3})), 1e-9);
  EXPECT_LT(distance(outcome.results.at(7).session.w, minimiser_of(problem, {4, 5, 6, 7})), 1e-9);
  for (const auto& [rank, result] : outcome.results) EXPECT_EQ(result.session.lost.at(0).rows_taken_over_by, 2);
}

TEST_P(PartsOf, ADeathAtAnyMomentEndsInOnePartOrInTwo) {
  // In set-up, in rounds, and closely spaced where the run ends.
  const Problem5 problem = Problem5::squared(5);
  const DecentralizedOptions options = parts_options(problem, GetParam(), 1e-6);
  const double end = train_with_losses(problem, graph("line", 5), options, slow_cluster(), false).seconds;
  for (int k = 0; k < 40; ++k) {
    const double at = k < 15 ? end * k / 15 : end - 5e-5 * (36 - k);
    const LossOutcome outcome = train_with_losses(problem, graph("line", 5), options, with_deaths({{2, at}}), false);
    EXPECT_TRUE(outcome.errors.empty()) << at << ": " << *outcome.errors.begin();
    const bool cut = outcome.results.at(0).cut;
    EXPECT_GE(outcome.results.size(), 4u) << at;
    for (const auto& [rank, result] : outcome.results) {
      EXPECT_EQ(result.cut, cut) << at << ", rank " << rank;
      EXPECT_EQ(result.session.reason, StopReason::converged) << at << ", rank " << rank;
      const std::vector<double> best =
          cut ? minimiser_of(problem, rank < 2 ? std::vector{0, 1} : std::vector{3, 4}) : problem.minimiser();
      EXPECT_LT(distance(result.session.w, best), 1e-4) << at << ", rank " << rank;
    }
  }
}

TEST(DecentralizedParts, NoPartHearsOfAnother) {
  // What becomes of the upper part, a link that is slow and a node that dies, changes neither bits nor pace of the
  // lower.
  const Problem5 problem = Problem5::squared(9);
  const DecentralizedOptions options = parts_options(problem, NetworkSolver::nids);
  const LossOutcome calm = train_with_losses(problem, graph("line", 9), options, with_deaths({{4, 0.05}}), false);
  ClusterModel model = with_deaths({{4, 0.05}, {8, 0.6}});
  LinkFault slow;
  slow.nodes = {5};
  slow.others = {6};
  slow.at = 0.58;
  slow.delay_seconds = 0.2;
  model.link_faults.push_back(slow);
  const LossOutcome wild = train_with_losses(problem, graph("line", 9), options, model, false);
  ASSERT_EQ(wild.results.size(), 7u);
  for (const int rank : {0, 1, 2, 3}) {
    EXPECT_EQ(wild.results.at(rank).session.w, calm.results.at(rank).session.w);
    EXPECT_EQ(wild.results.at(rank).session.rounds, calm.results.at(rank).session.rounds);
    EXPECT_EQ(wild.ended_at.at(rank), calm.ended_at.at(rank));
  }
  EXPECT_GT(wild.ended_at.at(5), 5 * wild.ended_at.at(0));
}

TEST(DecentralizedParts, ProgressIsToldInThePartOfTheLowestRank) {
  const Problem5 problem = Problem5::squared(8);
  const LossOutcome outcome = train_with_losses(problem, graph("line", 8), parts_options(problem, NetworkSolver::nids),
                                                with_deaths({{0, 0.05}, {3, 0.6}}), false);
  EXPECT_EQ(outcome.together.at(1), (std::vector<int>{1, 2}));
  for (const int rank : {2, 4, 5, 6, 7}) EXPECT_FALSE(outcome.rounds.contains(rank)) << rank;
  EXPECT_EQ(outcome.rounds.at(1).back().round, outcome.results.at(1).session.rounds);
}

TEST(DecentralizedParts, ASingleNodeThatIsLeftOfAPartThatDiesOutGoesOn) {
  const Problem5 problem = Problem5::squared(3);
  const LossOutcome outcome = train_with_losses(problem, graph("line", 3), parts_options(problem, NetworkSolver::nids),
                                                with_deaths({{1, 0.01}, {0, 0.515}}), false);
  expect_parts(problem, outcome, {{2}});
}

TEST(DecentralizedParts, EachPartKeepsItsOwnLimitOnRounds) {
  const Problem5 problem = Problem5::squared(8);
  DecentralizedOptions options = parts_options(problem, NetworkSolver::nids, 0);
  options.session.max_rounds = 150;
  const LossOutcome outcome = train_with_losses(problem, graph("line", 8), options, with_deaths({{2, 0.05}}), false);
  ASSERT_EQ(outcome.results.size(), 7u);
  for (const auto& [rank, result] : outcome.results) {
    EXPECT_EQ(result.session.reason, StopReason::max_rounds);
    EXPECT_EQ(result.session.rounds, 150);
  }
}

// Node 3 breaks in its twentieth gradient, node 6 in its two hundredth.
class BreakingShard final : public OwnShard {
 public:
  BreakingShard(OwnShard shard, int node) : OwnShard(std::move(shard)), last_(node == 3 ? 20 : node == 6 ? 200 : -1) {}
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    if (++gradients_ == last_) throw std::runtime_error("a node breaks");
    return OwnShard::value_and_gradient(w, value, gradient, tallies);
  }

 private:
  int gradients_ = 0, last_;
};

TEST(DecentralizedParts, AreTheSameBitsOnThreadsAndSimulated) {
  const Problem5 problem = Problem5::squared(9);
  const Topology topology = graph("line", 9);
  std::array<std::vector<std::vector<double>>, 2> models;
  for (const bool threads : {false, true}) {
    std::vector<std::vector<double>>& found = models[threads ? 1 : 0];
    found.resize(9);
    const auto train_rank = [&](Endpoint& endpoint) {
      BreakingShard mine(problem.shard(endpoint.rank()), endpoint.rank());
      found[static_cast<std::size_t>(endpoint.rank())] =
          train_decentralized(mine, endpoint, topology, std::vector<double>(Problem5::kDimension, 0.0),
                              parts_options(problem, NetworkSolver::nids))
              .session.w;
    };
    if (threads)
      run_threads(9, {.tolerate_losses = true}, train_rank);
    else
      run_simulated(9, {}, {.tolerate_losses = true}, train_rank);
  }
  EXPECT_EQ(models[0], models[1]);
  for (const std::vector<int>& part : Parts{{0, 1, 2}, {4, 5}, {7, 8}})
    for (const int rank : part)
      EXPECT_LT(distance(models[1][static_cast<std::size_t>(rank)], minimiser_of(problem, part)), 1e-9) << rank;
}

}  // namespace
}  // namespace muster
