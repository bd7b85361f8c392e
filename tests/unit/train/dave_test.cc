// The rule of dave by hand, and its steps where the bound on the curvature is wrong.
#include "train/dave.h"

#include <gtest/gtest.h>

#include "parameter_server_problem.h"

namespace muster {
namespace {

using testing::cluster_of;
using testing::LogisticRows;
using testing::LogisticShard;
using testing::Minimum;
using testing::minimum_of;
using testing::options_of;
using testing::Outcome;
using testing::train;
using testing::Vector;

constexpr std::size_t kColumns = 5;

RunFacts two_workers(double penalty, double l1) {
  RunFacts facts;
  facts.weights = {3, 1};
  facts.weight = 4;
  facts.largest_lipschitz = 1;
  facts.penalty = {penalty};
  facts.l1 = {l1};
  return facts;
}

double model_of(const DaveServer& server) {
  Vector x(1);
  server.read(x);
  return x[0];
}

// π = (¾, ¼), p = 1, L = 1: γ = 1.9 until both workers were heard, each of whom makes its l a fifth smaller.
//   g_0: 0 → −2 at x_0 = 0    γ = 1.9          x = 1.9·1.5/2.9
//   g_1: 0 → 4 at x_1 = 0     γ = 1.9/0.8      x = γ(1.5 − 1)/(1 + γ)
//   g_0: −2 → −1, at x_0 = ½, measured c = 5:  γ = 1.9/5, x = (¾·½ − γ(−¾ + 1))/(1 + γ)
TEST(Dave, ThreePushesByHand) {
  DaveServer server(two_workers(1, 0), {0, 1}, {0});
  const auto push = [&](int worker, double change, double pulled, double curvature) {
    const Vector values{change}, at{pulled};
    server.apply({.worker = worker, .keys = {}, .values = values, .curvature = curvature, .pulled = at});
    return model_of(server);
  };
  const Vector scale{1};
  EXPECT_DOUBLE_EQ(push(0, -2, 0, 0), 1.9 * 1.5 / 2.9);
  EXPECT_FALSE(server.estimate(scale).known);
  const double longer = 1.9 / 0.8, shorter = 1.9 / 5;
  EXPECT_DOUBLE_EQ(push(1, 4, 0, 0), longer * 0.5 / (1 + longer));
  EXPECT_TRUE(server.estimate(scale).known);
  const double x = push(0, 1, 0.5, 5);
  EXPECT_DOUBLE_EQ(x, (0.375 - shorter * 0.25) / (1 + shorter));
  // Σ π g + p x
  EXPECT_NEAR(server.estimate(scale).plain, (0.25 + x) * (0.25 + x), 1e-15);
}

// Pushes that change nothing leave the model where it starts, whatever γ becomes meanwhile.
TEST(Dave, TheStartIsAFixedPointUntilGradientsCome) {
  for (const double start : {-2.0, 0.0, 3.0}) {
    DaveServer server(two_workers(0.7, 0.3), {0, 1}, {start});
    const Vector nothing{0}, at{start};
    for (int k = 0; k < 12; ++k) {
      server.apply({.worker = k % 2, .keys = {}, .values = nothing, .pulled = at});
      EXPECT_NEAR(model_of(server), start, 1e-14);
    }
  }
}

// A worker's c between two points of ½ Σ a_j x_j²: Σ a²Δ² / Σ aΔ².
TEST(Dave, WorkersMeasureTheCurvatureBetweenTheirPoints) {
  class Bowl final : public Objective {
   public:
    std::size_t dimension() const override { return 2; }
    std::size_t rows() const override { return 1; }
    double weight() const override { return 2; }
    Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                            std::span<double>) override {
      value = 0;
      gradient[0] = 2 * 1 * w[0];
      gradient[1] = 2 * 9 * w[1];
      return {};
    }
    Work curvature_product(std::span<const double>, std::span<double>) override { return {}; }
  } bowl;
  for (const double bound : {100.0, 2.0}) {
    RunFacts facts = two_workers(0, 0);
    facts.penalty = facts.l1 = {0, 0};
    facts.largest_lipschitz = bound;
    DaveWorker worker(bowl, facts, Vector{5, 5});
    WorkerStep out;
    worker.step(Vector{0, 0}, {}, out);
    EXPECT_EQ(out.curvature, 0);  // no two points yet
    worker.step(Vector{2, 1}, {}, out);
    EXPECT_EQ(out.values, (Vector{2, 9}));
    // c = (4 + 81)/(4 + 9); above the bound no more than √(4 + 81)/√(4 + 1)
    EXPECT_DOUBLE_EQ(out.curvature, bound > 10 ? 85.0 / 13 : std::sqrt(85.0 / 5));
    worker.step(Vector{2, 1}, {}, out);
    EXPECT_EQ(out.curvature, 0);
  }
}

// Rows whose bound on the curvature is `factor` times the true one.
class MisjudgedShard final : public Objective {
 public:
  MisjudgedShard(LogisticRows rows, std::size_t dimension, double factor)
      : shard_(std::move(rows), dimension), factor_(factor) {}
  std::size_t dimension() const override { return shard_.dimension(); }
  std::size_t rows() const override { return shard_.rows(); }
  double weight() const override { return shard_.weight(); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    return shard_.value_and_gradient(w, value, gradient, tallies);
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    const Work work = shard_.curvature_product(v, product);
    for (double& value : product) value *= factor_;
    return work;
  }

 private:
  LogisticShard shard_;
  double factor_;
};

// Under-estimated a hundredfold the bound would have the run diverge, over-estimated it would take a hundred times as
// many rounds: the measured curvature sets both right.
TEST(Dave, StepsComeRightWhateverTheBound) {
  const Vector speeds{1, 2, 4, 10};
  std::vector<LogisticRows> shards;
  for (int k = 0; k < 4; ++k) shards.push_back(LogisticRows::of_worker(k, 50 + 30 * k, kColumns));
  double rows = 0;
  for (const LogisticRows& shard : shards) rows += static_cast<double>(shard.y.size());
  const Minimum best = minimum_of(shards, Vector(4, 1 / rows), Vector(kColumns, 1e-3));
  std::vector<std::int64_t> rounds;
  for (const double factor : {1.0, 0.01, 100.0}) {
    ParameterServerOptions options = options_of(kColumns, 1e-3, ServerSolver::dave, 2);
    options.session.estimate.met = [](double, double square) { return square < 1e-18; };
    const Outcome outcome = train(
        [&](int rank) {
          return std::make_unique<MisjudgedShard>(shards[static_cast<std::size_t>(rank)], kColumns, factor);
        },
        options, cluster_of(speeds, 2), Vector(kColumns, 0.0));
    EXPECT_EQ(outcome.result.session.reason, StopReason::converged) << factor;
    for (std::size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(outcome.result.session.w[j], best.w[j], 1e-6) << factor;
    rounds.push_back(outcome.result.session.rounds);
  }
  EXPECT_LT(rounds[1], 2 * rounds[0]);
  EXPECT_LT(rounds[2], 3 * rounds[0]);
}

// One worker a hundred times slower than the rest: the others wait for nobody, and the minimiser is that of all rows.
// It takes that worker fewer gradients than descent, whose every step waits for it, takes steps.
TEST(Dave, AWorkerAHundredTimesSlowerNeitherStopsNorSpoilsIt) {
  std::vector<LogisticRows> shards;
  for (int k = 0; k < 4; ++k) shards.push_back(LogisticRows::of_worker(k, 50 + 30 * k, kColumns));
  double rows = 0;
  for (const LogisticRows& shard : shards) rows += static_cast<double>(shard.y.size());
  const Minimum best = minimum_of(shards, Vector(4, 1 / rows), Vector(kColumns, 1e-3));
  ParameterServerOptions options = options_of(kColumns, 1e-3, ServerSolver::dave);
  options.session.estimate.met = [](double, double square) { return square < 1e-16; };
  const auto make = [&](int rank) {
    return std::make_unique<LogisticShard>(shards[static_cast<std::size_t>(rank)], kColumns);
  };
  const Outcome uneven = train(make, options, cluster_of({1, 100, 100, 100}, 1), Vector(kColumns, 0.0));
  EXPECT_EQ(uneven.result.session.reason, StopReason::converged);
  for (std::size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(uneven.result.session.w[j], best.w[j], 1e-6);
  const std::vector<std::int64_t>& updates = uneven.result.session.updates;
  for (const std::size_t k : {1, 2, 3}) EXPECT_GT(updates[k], 90 * updates[0]);
  const Outcome even = train(make, options, cluster_of({1, 1, 1, 1}, 1), Vector(kColumns, 0.0));
  EXPECT_LT(uneven.report.seconds, even.report.seconds);
}

// The estimate is met long before the exact judgement: training goes on, ever more strictly, until that is met.
TEST(Dave, GoesOnWhereTheExactJudgementSaysNo) {
  ParameterServerOptions options = options_of(kColumns, 1e-2, ServerSolver::dave, 1);
  options.session.estimate.met = [](double, double square) { return square < 1e-6; };
  int asked = 0;
  options.session.judge = [&asked](const RoundState& state) -> Problem::Verdict {
    ++asked;
    return {state.gradient_norm < 1e-6, StopReason::converged, "the exact gradient is small"};
  };
  const Outcome outcome = train(
      [](int rank) { return std::make_unique<LogisticShard>(LogisticRows::of_worker(rank, 60, kColumns), kColumns); },
      options, cluster_of({1, 3, 10}, 1), Vector(kColumns, 0.0));
  EXPECT_EQ(outcome.result.session.reason, StopReason::converged);
  EXPECT_GE(asked, 2 * 4);  // by four ranks each time
  EXPECT_LT(outcome.result.session.history.back().gradient_norm, 1e-5);
}

}  // namespace
}  // namespace muster
