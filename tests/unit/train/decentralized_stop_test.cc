// When a network stops, and with what: the decision as such, its limits on a run, the guard of a step that is too long,
// and what is known of who waits for whom.
#include "train/decentralized_stop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/cancellation.h"
#include "decentralized_losses.h"

namespace muster {
namespace {

using Maxima = std::array<double, StopAgreement::kMaxima>;

Maxima seen(double square, double moved = 1) {
  Maxima maxima{};
  maxima[StopAgreement::kGradient] = square;
  maxima[StopAgreement::kMoved] = moved;
  return maxima;
}

const StopEstimate kEstimate{{}, [](double, double square) { return square <= 1; }};

TEST(NetworkStop, IsMetWhereGradientAndDisagreementAre) {
  NetworkStop stop(kEstimate);
  Maxima maxima = seen(0.5);
  maxima[StopAgreement::kDisagreement] = 2;
  EXPECT_EQ(stop.decide(maxima, 1).ending, std::nullopt);
  maxima[StopAgreement::kDisagreement] = std::numeric_limits<double>::infinity();  // not all have met
  EXPECT_EQ(stop.decide(maxima, 2).ending, std::nullopt);
  maxima[StopAgreement::kDisagreement] = 0.5;
  EXPECT_EQ(stop.decide(maxima, 3).ending, Ending::met);
  stop.tighten(3);  // eightfold
  EXPECT_EQ(stop.decide(seen(0.2), 4).ending, std::nullopt);
  EXPECT_EQ(stop.decide(seen(0.1), 5).ending, Ending::met);
}

TEST(NetworkStop, WishesToStopComeFirstAndInOrder) {
  NetworkStop stop(kEstimate);
  Maxima maxima = seen(0.5);
  maxima[StopAgreement::kOutOfRounds] = 1;
  EXPECT_EQ(stop.decide(maxima, 1).ending, Ending::max_rounds);
  maxima[StopAgreement::kOutOfTime] = 1;
  EXPECT_EQ(stop.decide(maxima, 2).ending, Ending::max_time);
  maxima[StopAgreement::kCancelled] = 1;
  EXPECT_EQ(stop.decide(maxima, 3).ending, Ending::interrupted);
}

TEST(NetworkStop, GrowthByMoreThanTenThousandOrANumberThatIsNoneMeansAStepTooLong) {
  NetworkStop stop(kEstimate);
  stop.decide(seen(10), 1);
  EXPECT_FALSE(stop.decide(seen(0.99e5), 2).too_long);
  EXPECT_TRUE(stop.decide(seen(1.01e5), 3).too_long);
  Maxima maxima = seen(5);
  maxima[StopAgreement::kNotFinite] = 1;
  EXPECT_TRUE(stop.decide(maxima, 4).too_long);
  stop.begin();  // what it grows from is new as well
  EXPECT_FALSE(stop.decide(seen(1e6), 5).too_long);
}

TEST(NetworkStop, CopiesThatStandStillHaveStalled) {
  NetworkStop stop(kEstimate);
  const double still = 16 * std::numeric_limits<double>::epsilon();
  EXPECT_EQ(stop.decide(seen(9, 1.01 * still), 1).ending, std::nullopt);
  EXPECT_EQ(stop.decide(seen(8, still), 2).ending, Ending::stalled);
}

TEST(NetworkStop, NearlyStillCopiesStallAfterThreeHundredRoundsWithoutABetterEstimate) {
  for (const double moved : {0.99e-13, 1.01e-13}) {
    NetworkStop stop(kEstimate);
    EXPECT_FALSE(stop.decide(seen(9, moved), 10).best);
    EXPECT_TRUE(stop.decide(seen(8, moved), 20).best);
    EXPECT_FALSE(stop.decide(seen(8, moved), 319).best);
    EXPECT_EQ(stop.decide(seen(8, moved), 319).ending, std::nullopt);
    EXPECT_EQ(stop.decide(seen(8, moved), 320).ending, moved < 1e-13 ? std::optional(Ending::stalled) : std::nullopt);
    stop.tighten(320);  // patience begins anew
    EXPECT_EQ(stop.decide(seen(8, moved), 330).ending, std::nullopt);
  }
}

std::vector<DecentralizedResult> train(const Problem5& problem, const Topology& topology,
                                       const DecentralizedOptions& options, const ClusterModel& model) {
  LossOutcome outcome = train_with_losses(problem, topology, options, model, false);
  EXPECT_EQ(outcome.results.size(), problem.shards.size());
  std::vector<DecentralizedResult> results;
  for (auto& [rank, result] : outcome.results) results.push_back(std::move(result));
  return results;
}

// Says a twentieth of its curvature, so that the first step is ten times too long.
class Flattering final : public OwnShard {
 public:
  using OwnShard::OwnShard;
  explicit Flattering(const OwnShard& shard) : OwnShard(shard) {}
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    const Work work = OwnShard::curvature_product(v, product);
    for (double& value : product) value /= 20;
    return work;
  }
};

class Guard : public testing::TestWithParam<NetworkSolver> {};
INSTANTIATE_TEST_SUITE_P(DecentralizedStop, Guard,
                         testing::Values(NetworkSolver::nids, NetworkSolver::gradient_tracking, NetworkSolver::push_sum,
                                         NetworkSolver::pairwise));

TEST_P(Guard, HalvesAStepThatIsTooLongAndLeavesTheCallersOwnAlone) {
  const Problem5 problem = Problem5::squared(6);
  for (const double step : {0.0, 1e3}) {
    DecentralizedOptions options = network_options(problem, GetParam(), 1e-10);
    options.step_size = step;
    run_simulated(6, slow_cluster(), {}, [&](Endpoint& endpoint) {
      Flattering mine(problem.shard(endpoint.rank()));
      const DecentralizedResult result = train_decentralized(mine, endpoint, graph("ring", 6),
                                                             std::vector<double>(Problem5::kDimension, 0.0), options);
      EXPECT_EQ(result.session.reason, step > 0 ? StopReason::diverged : StopReason::converged);
      for (const double w : result.session.w) EXPECT_TRUE(std::isfinite(w));
      if (step == 0) {
        EXPECT_LT(distance(result.session.w, problem.minimiser()), 1e-9);
      }
    });
  }
}

TEST(DecentralizedStop, ACancellationSeenByOneNodeStopsAllInTheSameRound) {
  const Problem5 problem = Problem5::squared(8);
  const DecentralizedOptions options = network_options(problem, NetworkSolver::nids, 0);
  CancellationToken token;
  std::set<std::int64_t> rounds;
  run_simulated(8, slow_cluster(), {}, [&](Endpoint& endpoint) {
    OwnShard mine = problem.shard(endpoint.rank());
    DecentralizedOptions own = options;
    if (endpoint.rank() == 5) own.session.cancellation = &token;
    own.session.on_round = [&](const RoundReport& report, std::span<const double>) {
      if (report.round == 30) token.cancel();
    };
    const DecentralizedResult result =
        train_decentralized(mine, endpoint, graph("ring", 8), std::vector<double>(Problem5::kDimension, 0.0), own);
    EXPECT_EQ(result.session.reason, StopReason::interrupted);
    rounds.insert(result.session.rounds);
  });
  ASSERT_EQ(rounds.size(), 1u);
  EXPECT_GE(*rounds.begin(), 30);
  EXPECT_LE(*rounds.begin(), 30 + 2 * 4 + 2);  // within two windows, each as long as the diameter
}

TEST(DecentralizedStop, TheLimitOnTimeIsByTheLowestNodesClock) {
  const Problem5 problem = Problem5::squared(8);
  for (const NetworkSolver solver : {NetworkSolver::nids, NetworkSolver::pairwise}) {
    DecentralizedOptions options = network_options(problem, solver, 0);
    options.session.max_seconds = 0.08;
    const LossOutcome outcome = train_with_losses(problem, graph("ring", 8), options, slow_cluster(), false);
    for (const auto& [rank, result] : outcome.results) EXPECT_EQ(result.session.reason, StopReason::max_time);
    const double ended = outcome.results.at(0).session.history.back().seconds;
    EXPECT_GE(ended, 0.08);
    EXPECT_LT(ended, 0.12);
  }
}

TEST(DecentralizedStop, PushSumsEstimateOfTheObjectiveIsOfTheMeanThoughItsWeightsAreNotOne) {
  const Problem5 problem = Problem5::squared(6);
  const auto results =
      train(problem, unequal_directed_ring(6), network_options(problem, NetworkSolver::push_sum), slow_cluster());
  const std::vector<RoundReport>& history = results[0].session.history;
  ASSERT_GT(history.size(), 2u);
  EXPECT_NEAR(history[history.size() - 2].objective, problem.objective(problem.minimiser()), 1e-6);
  EXPECT_NEAR(history.back().objective, problem.objective(problem.minimiser()), 1e-12);
}

TEST(DecentralizedStop, WhoIsWaitedForIsTheSlowNode) {
  // On the complete graph each of the four others waits for it alone, by what its rounds take longer.
  const Problem5 problem = Problem5::squared(5, true);
  ClusterModel model = slow_cluster();
  model.inter_host.latency_seconds = 1e-7;
  model.nodes.resize(5, model.default_node);
  model.nodes[2].flops_per_second /= 10;
  const auto results = train(problem, graph("complete", 5), network_options(problem, NetworkSolver::nids, 1e-8), model);
  const SessionResult& session = results[0].session;
  constexpr double kFlops = 4 * 12 * 5 + 2 * 5 * 5;  // a gradient of 12 rows of 5 numbers; the average of five copies
  const double longer = kFlops / 1e5 - kFlops / 1e6;
  const double expected = 4 * longer * static_cast<double>(session.rounds);
  EXPECT_NEAR(session.waited_for_seconds[2], expected, 0.02 * expected);
  for (const std::size_t other : {0, 1, 3, 4})
    EXPECT_LT(session.waited_for_seconds[other], 0.05 * session.waited_for_seconds[2]) << other;
}

}  // namespace
}  // namespace muster
