// The parameter server against theory: optima, rates, delays and staleness that are known without it.
#include "train/parameter_server.h"

#include <gtest/gtest.h>

#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

#include "cluster/threads/threads_launch.h"
#include "muster/error.h"
#include "parameter_server_problem.h"
#include "solver/gd.h"

namespace muster {
namespace {

using testing::cluster_of;
using testing::LogisticRows;
using testing::LogisticShard;
using testing::Minimum;
using testing::minimum_of;
using testing::options_of;
using testing::Outcome;
using testing::QuadraticShard;
using testing::train;
using testing::Vector;

constexpr std::size_t kDimension = 6;
constexpr double kPenalty = 3e-3;

// Eight workers of unequal shards whose speeds differ tenfold.
const Vector kSpeeds{1, 1.4, 2, 2.7, 3.7, 5, 7, 10};

std::vector<LogisticRows> eight_shards() {
  std::vector<LogisticRows> shards;
  for (int k = 0; k < 8; ++k) shards.push_back(LogisticRows::of_worker(k, 60 + 20 * (k % 3), kDimension));
  return shards;
}

double rows_of(const std::vector<LogisticRows>& shards) {
  double rows = 0;
  for (const LogisticRows& shard : shards) rows += static_cast<double>(shard.y.size());
  return rows;
}

testing::MakeObjective dealt(const std::vector<LogisticRows>& shards) {
  return [&shards](int rank) {
    const auto k = static_cast<std::size_t>(rank);
    return std::make_unique<LogisticShard>(k < shards.size() ? shards[k] : LogisticRows{}, kDimension);
  };
}

// Stops where F − F* ≤ |∇F|²/2μ is at most 1e-8 of F*; exact at the end.
void stop_at(ParameterServerOptions& options, double optimum, double relative = 1e-8) {
  const double square = 2 * kPenalty * relative * optimum;
  options.session.estimate.met = [square](double, double estimate) { return estimate <= square; };
  options.session.judge = [square](const RoundState& state) -> Problem::Verdict {
    return {state.gradient_norm * state.gradient_norm <= square, StopReason::converged, "the exact gradient is small"};
  };
}

TEST(ParameterServer, DaveMeetsTheOptimumWhateverTheSpeedsAndBeatsSynchronousDescent) {
  const std::vector<LogisticRows> shards = eight_shards();
  const double rows = rows_of(shards);
  const Minimum best = minimum_of(shards, Vector(8, 1 / rows), Vector(kDimension, kPenalty));
  for (const int servers : {1, 3}) {
    ParameterServerOptions options = options_of(kDimension, kPenalty, ServerSolver::dave, servers);
    stop_at(options, best.value);
    const Outcome dave = train(dealt(shards), options, cluster_of(kSpeeds, servers), Vector(kDimension, 0.0));
    EXPECT_EQ(dave.result.session.reason, StopReason::converged);
    ASSERT_FALSE(dave.result.session.history.empty());
    double value = 0;
    for (const LogisticRows& shard : shards) {
      double sum = 0;
      Vector gradient(kDimension);
      LogisticShard(shard, kDimension).value_and_gradient(dave.result.session.w, sum, gradient, {});
      value += sum / rows;
    }
    for (const double w : dave.result.session.w) value += 0.5 * kPenalty * w * w;
    EXPECT_LE(value, best.value * (1 + 1e-8));
    EXPECT_NEAR(dave.result.session.history.back().objective, best.value, 1e-5 * best.value);
    for (const Vector& w : dave.w) EXPECT_EQ(w, dave.w[0]);

    double descent_seconds = 0;
    run_simulated(8, cluster_of(kSpeeds, 0), {}, [&](Endpoint& endpoint) {
      const auto objective = dealt(shards)(endpoint.rank());
      MapReduceOptions map_reduce;
      map_reduce.penalty.assign(kDimension, kPenalty);
      map_reduce.judge = options.session.judge;
      MapReduce problem(*objective, endpoint, map_reduce);
      EXPECT_EQ(minimise_gd(problem, Vector(kDimension, 0.0), {}).reason, StopReason::converged);
      descent_seconds = endpoint.now();
    });
    EXPECT_LT(dave.report.seconds, descent_seconds / 3);
  }
}

// The step of choice leaves w in a cycle around that point, near enough for three digits of the weighted objective; a
// step thirty times smaller goes on from there to three digits of w itself.
TEST(ParameterServer, ThePlainRuleSettlesAtTheMinimiserWeightedByRates) {
  const std::vector<LogisticRows> shards = eight_shards();
  const double rows = rows_of(shards);
  // Σ rate_k (f_k + S_k ½ p |w|²), over its sum of rate_k S_k.
  double weight = 0;
  for (std::size_t k = 0; k < 8; ++k) weight += kSpeeds[k] * static_cast<double>(shards[k].y.size());
  Vector factor;
  for (std::size_t k = 0; k < 8; ++k) factor.push_back(kSpeeds[k] / weight);
  const Minimum biased = minimum_of(shards, factor, Vector(kDimension, kPenalty));
  const Minimum best = minimum_of(shards, Vector(8, 1 / rows), Vector(kDimension, kPenalty));
  const auto weighted = [&](const Vector& w) {
    double value = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      double sum = 0;
      Vector gradient(kDimension);
      LogisticShard(shards[k], kDimension).value_and_gradient(w, sum, gradient, {});
      value += factor[k] * sum;
    }
    for (const double x : w) value += 0.5 * kPenalty * x * x;
    return value;
  };
  const auto apart = [](const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t j = 0; j < kDimension; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return std::sqrt(sum);
  };
  const double size = apart(biased.w, Vector(kDimension, 0.0));
  EXPECT_GT(weighted(best.w), biased.value * (1 + 1e-2));
  EXPECT_GT(apart(best.w, biased.w), 0.1 * size);

  ParameterServerOptions options = options_of(kDimension, kPenalty, ServerSolver::sgd);
  options.session.estimate.met = [](double, double square) { return square < 1e-22; };
  options.session.judge = [](const RoundState& state) -> Problem::Verdict {
    return {state.gradient_norm < 1e-9, StopReason::converged, "converged"};
  };
  const Outcome settled = train(dealt(shards), options, cluster_of(kSpeeds, 1), Vector(kDimension, 0.0));
  EXPECT_EQ(settled.result.session.reason, StopReason::stalled);
  EXPECT_LT(weighted(settled.result.session.w), biased.value * (1 + 1e-3));

  options.step = 3e-3;
  options.session.max_rounds = 6000;
  const Outcome closer = train(dealt(shards), options, cluster_of(kSpeeds, 1), settled.result.session.w);
  EXPECT_LT(apart(closer.result.session.w, biased.w), 1e-3 * size);
  EXPECT_NEAR(weighted(closer.result.session.w), biased.value, 1e-6 * biased.value);
}

TEST(ParameterServer, StalenessOfFreeRunningWorkersIsOnAverageTheOthers) {
  for (const Vector& speeds : {Vector(5, 1.0), kSpeeds}) {
    const auto m = static_cast<double>(speeds.size());
    ParameterServerOptions options = options_of(2, 0, ServerSolver::dave);
    options.session.max_rounds = 500;
    const Outcome outcome = train(
        [](int) {
          return std::make_unique<QuadraticShard>(1.0, 1.0, Vector{1, 2});
        },
        options, cluster_of(speeds, 1), Vector{0, 0});
    EXPECT_NEAR(outcome.result.staleness.mean, m - 1, 0.02 * m);
    EXPECT_EQ(outcome.result.session.reason, StopReason::max_rounds);
    EXPECT_EQ(std::accumulate(outcome.result.staleness.histogram.begin(), outcome.result.staleness.histogram.end(),
                              std::int64_t{0}),
              outcome.result.staleness.updates);
  }
}

// w ← w − αL w_{t−τ}: τ + 1 equal workers in turn, whose starts the simulator spreads.
TEST(ParameterServer, DelayedDescentIsStableExactlyBelowTheBound) {
  for (const int delay : {1, 2, 5}) {
    const double bound = 2 * std::sin(std::numbers::pi / (2 * (2 * delay + 1)));
    for (const double factor : {0.97, 1.03}) {
      ParameterServerOptions options = options_of(1, 0, ServerSolver::sgd);
      options.step = factor * bound;  // L = 1
      options.session.max_rounds = 6000 / (delay + 1);
      const Outcome outcome = train([](int) { return std::make_unique<QuadraticShard>(1.0, 1.0, Vector{0}); }, options,
                                    cluster_of(Vector(static_cast<std::size_t>(delay) + 1, 1.0), 1), Vector{1});
      EXPECT_EQ(outcome.result.staleness.largest, delay);
      const double size = std::abs(outcome.result.session.w[0]);
      if (factor < 1) {
        EXPECT_LT(size, 1e-6) << delay;
      } else {
        EXPECT_GT(size, 1e3) << delay;
      }
    }
  }
}

TEST(ParameterServer, UpdatesPerSecondAreTheSumOfTheWorkersRates) {
  ParameterServerOptions options = options_of(2, 0, ServerSolver::dave);
  options.session.max_seconds = 60;
  const Outcome outcome = train(
      [](int) {
        return std::make_unique<QuadraticShard>(1.0, 1.0, Vector{1, 2});
      },
      options, cluster_of(kSpeeds, 1), Vector{0, 0});
  EXPECT_EQ(outcome.result.session.reason, StopReason::max_time);
  double sum = 0;
  for (std::size_t k = 0; k < 8; ++k) {
    sum += kSpeeds[k];
    EXPECT_NEAR(static_cast<double>(outcome.result.session.updates[k]), 58 * kSpeeds[k], 2 * kSpeeds[k]);
  }
  const RoundReport &first = outcome.result.session.history.front(), &last = outcome.result.session.history.back();
  EXPECT_NEAR(8 * static_cast<double>(last.round - first.round) / (last.seconds - first.seconds), sum, 0.01 * sum);
  EXPECT_EQ(outcome.result.session.waited_for_seconds, Vector(9, 0.0));
}

TEST(ParameterServer, APermanentStragglerGivesBoundedStalenessItsOwnPace) {
  for (const std::int64_t bound : {0, 1, 4, 16}) {
    ParameterServerOptions options = options_of(2, 0, ServerSolver::dave, 2);
    options.session.sync = {Synchronisation::Kind::ssp, bound};
    options.session.max_seconds = 1000;
    const Outcome outcome = train(
        [](int) {
          return std::make_unique<QuadraticShard>(1.0, 1.0, Vector{1, 2});
        },
        options, cluster_of({4, 4, 1, 4}, 2), Vector{0, 0});
    const auto& session = outcome.result.session;
    EXPECT_EQ(outcome.result.staleness.largest_clock_gap, bound == 0 ? 0 : bound);
    EXPECT_NEAR(static_cast<double>(session.updates[2]), 1000, 20);
    for (const std::size_t k : {0, 1, 3})
      EXPECT_NEAR(static_cast<double>(session.updates[k]), 1000 + static_cast<double>(bound), 20);
    // Each of the three fast ones idles three quarters of the time, and for the slow one.
    EXPECT_NEAR(session.waited_for_seconds[2], 3 * 750, 60);
    EXPECT_NEAR(session.waited_for_seconds[0], 0, 1);
  }
}

// One worker a hundred times slower, and the only one that wants w = 4: the plain rule hardly hears it and settles far
// from the minimiser, 1, around which it cycles where all are equally fast; dave meets it.
TEST(ParameterServer, OneSlowWorkerHarmsThePlainRule) {
  const Vector even(4, 1.0), uneven{1, 1, 1, 0.01};
  const auto make = [](int rank) { return std::make_unique<QuadraticShard>(1.0, 1.0, Vector{rank == 3 ? 4.0 : 0.0}); };
  ParameterServerOptions options = options_of(1, 0, ServerSolver::sgd);
  options.session.max_rounds = 2000;
  EXPECT_NEAR(train(make, options, cluster_of(even, 1), Vector{0}).result.session.w[0], 1, 0.25);
  EXPECT_LT(train(make, options, cluster_of(uneven, 1), Vector{0}).result.session.w[0], 0.1);
  options.solver = ServerSolver::dave;
  EXPECT_NEAR(train(make, options, cluster_of(uneven, 1), Vector{0}).result.session.w[0], 1, 1e-6);
}

TEST(ParameterServer, UnequalShardsCountByWeight) {
  const auto make = [](int rank) {
    const double weight = rank == 0 ? 9 : rank == 1 ? 1 : 0;
    return std::make_unique<QuadraticShard>(weight, 1.0, Vector{rank == 0 ? 1.0 : 11.0});
  };
  for (const ServerSolver solver : {ServerSolver::dave, ServerSolver::sgd}) {
    ParameterServerOptions options = options_of(1, 0, solver);
    options.session.estimate.met = [](double, double square) { return square < 1e-20; };
    options.step = 1e-3;  // small cycles
    // A third worker has no rows at all.
    const Outcome outcome = train(make, options, cluster_of({1, 1, 1}, 1), Vector{0});
    EXPECT_NEAR(outcome.result.session.w[0], 2, solver == ServerSolver::dave ? 1e-8 : 0.01);
    EXPECT_EQ(outcome.result.session.reason, StopReason::converged);
  }
}

// ∂(½ (w − 3)²  + ½ w² + 0.5 |w|) = 0 at 1.25; (w − 0.3)² likewise is held at 0.
TEST(ParameterServer, DaveTakesBothPenalties) {
  ParameterServerOptions options = options_of(2, 1, ServerSolver::dave);
  options.session.l1 = {0.5, 0.5};
  options.session.estimate.met = [](double, double square) { return square < 1e-24; };
  const Outcome outcome = train(
      [](int) {
        return std::make_unique<QuadraticShard>(2.0, 1.0, Vector{3, 0.3});
      },
      options, cluster_of({1, 3}, 1), Vector{7, 7});
  EXPECT_NEAR(outcome.result.session.w[0], 1.25, 1e-10);
  EXPECT_EQ(outcome.result.session.w[1], 0);
}

TEST(ParameterServer, BulkSynchronousIsGradientDescentBitForBit) {
  for (const int workers : {1, 3, 5, 8}) {
    std::vector<LogisticRows> shards = eight_shards();
    shards.resize(static_cast<std::size_t>(workers));
    const int steps = 40;
    ParameterServerOptions options = options_of(kDimension, kPenalty, ServerSolver::sgd, 2);
    options.session.sync.kind = Synchronisation::Kind::bsp;
    options.session.max_rounds = steps;
    const Vector speeds(kSpeeds.begin(), kSpeeds.begin() + workers);
    const Outcome outcome = train(dealt(shards), options, cluster_of(speeds, 2), Vector(kDimension, 0.1));
    Vector w;
    run_simulated(workers, cluster_of(speeds, 0), {}, [&](Endpoint& endpoint) {
      const auto objective = dealt(shards)(endpoint.rank());
      MapReduceOptions map_reduce;
      map_reduce.penalty.assign(kDimension, kPenalty);
      MapReduce problem(*objective, endpoint, map_reduce);
      const Vector result = minimise_gd(problem, Vector(kDimension, 0.1), {.max_rounds = steps + 1}).w;
      if (endpoint.rank() == 0) w = result;
    });
    EXPECT_EQ(outcome.result.session.w, w) << workers;
    EXPECT_EQ(outcome.result.session.rounds, steps);
  }
}

// On real threads: a worker whose objective throws ends the run by its name and its cause, whoever waits for it, and
// where losses are tolerated the others go on to the optimum of all rows.
class ThrowingShard final : public Objective {
 public:
  ThrowingShard(LogisticRows rows, int passes) : shard_(std::move(rows), kDimension), passes_(passes) {}
  std::size_t dimension() const override { return shard_.dimension(); }
  std::size_t rows() const override { return shard_.rows(); }
  double weight() const override { return shard_.weight(); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    if (passes_-- == 0) throw std::runtime_error("the disk is on fire");
    return shard_.value_and_gradient(w, value, gradient, tallies);
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    return shard_.curvature_product(v, product);
  }
  void append(const LogisticRows& more) { shard_.append(more); }

 private:
  LogisticShard shard_;
  int passes_;
};

class ThrowingWorker : public ::testing::TestWithParam<Synchronisation::Kind> {
 protected:
  // The model of rank 0. adopts: survivors take the rows over.
  Vector run(bool adopts) {
    ParameterServerOptions options = options_of(kDimension, kPenalty, ServerSolver::dave, 2);
    options.session.sync.kind = GetParam();
    options.session.estimate.met = [](double, double square) { return square < 1e-20; };
    Vector w;
    run_threads(5, {.tolerate_losses = adopts}, [&](Endpoint& endpoint) {
      const int rank = endpoint.rank();
      ThrowingShard objective(rank < 3 ? shards_[static_cast<std::size_t>(rank)] : LogisticRows{}, rank == 1 ? 5 : -1);
      ParameterServerOptions own = options;
      if (adopts) own.session.adopt = [&](int lost) { objective.append(shards_[static_cast<std::size_t>(lost)]); };
      ParameterServerResult result = train_parameter_server(objective, endpoint, Vector(kDimension, 0.0), own);
      if (rank == 0) w = result.session.w;
    });
    return w;
  }
  std::vector<LogisticRows> shards_{LogisticRows::of_worker(0, 60, kDimension),
                                    LogisticRows::of_worker(1, 80, kDimension),
                                    LogisticRows::of_worker(2, 100, kDimension)};
};

TEST_P(ThrowingWorker, EndsTheRunByName) {
  try {
    run(false);
    FAIL() << "the run went on";
  } catch (const ClusterError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("the disk is on fire"), std::string::npos) << error.what();
  }
}

TEST_P(ThrowingWorker, LeavesItsRowsToTheOthersWhereLossesAreTolerated) {
  const Minimum best = minimum_of(shards_, Vector(3, 1.0 / 240), Vector(kDimension, kPenalty));
  const Vector w = run(true);
  ASSERT_EQ(w.size(), best.w.size());
  for (std::size_t j = 0; j < kDimension; ++j) EXPECT_NEAR(w[j], best.w[j], 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Synchronised, ThrowingWorker,
                         ::testing::Values(Synchronisation::Kind::async, Synchronisation::Kind::bsp),
                         [](const auto& each) { return each.param == Synchronisation::Kind::bsp ? "bsp" : "async"; });

}  // namespace
}  // namespace muster
