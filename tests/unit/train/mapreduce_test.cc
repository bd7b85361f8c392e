#include "train/mapreduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>

#include "base/cancellation.h"
#include "cluster/threads/threads_launch.h"
#include "solver/gd.h"

namespace muster {
namespace {

// ½ Σ s (x·w − y)² over rows dealt out by index modulo the group's size: an own objective, not a linear model of ours.
class DealtRows : public Objective {
 public:
  DealtRows(int rank, int size) {
    for (int i = rank; i < kRows; i += size) {
      rows_.push_back({1.0, 0.1 * i, std::cos(1.0 * i)});
      targets_.push_back(3 + 0.5 * i - 2 * std::cos(1.0 * i));
      weights_.push_back(1 + i % 3);
    }
  }
  static constexpr int kRows = 23;

  std::size_t dimension() const override { return 3; }
  std::size_t rows() const override { return rows_.size(); }
  double weight() const override {
    double sum = 0;
    for (double s : weights_) sum += s;
    return sum;
  }
  std::size_t tallies() const override { return 1; }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    value = 0;
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      double residual = -targets_[i];
      for (std::size_t j = 0; j < 3; ++j) residual += rows_[i][j] * w[j];
      value += 0.5 * weights_[i] * residual * residual;
      for (std::size_t j = 0; j < 3; ++j) gradient[j] += weights_[i] * residual * rows_[i][j];
    }
    tallies[0] = static_cast<double>(rows_.size());
    return {8.0 * 3 * static_cast<double>(rows_.size()), 12.0 * static_cast<double>(rows_.size())};
  }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    std::fill(product.begin(), product.end(), 0.0);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      double along = 0;
      for (std::size_t j = 0; j < 3; ++j) along += rows_[i][j] * v[j];
      for (std::size_t j = 0; j < 3; ++j) product[j] += weights_[i] * along * rows_[i][j];
    }
    return {};
  }
  bool has_hessian() const override { return true; }
  Work hessian_product(std::span<const double>, std::span<const double> v, std::span<double> product) override {
    return curvature_product(v, product);
  }
  std::optional<Work> begin_line(std::span<const double> a, std::span<const double> b) override {
    a_.assign(a.begin(), a.end());
    b_.assign(b.begin(), b.end());
    return Work{};
  }
  Work value_on_line(double t, double& value, double& slope) override {
    std::vector<double> at(3), gradient(3), tally(1);
    for (std::size_t j = 0; j < 3; ++j) at[j] = a_[j] + t * (b_[j] - a_[j]);
    value_and_gradient(at, value, gradient, tally);
    slope = 0;
    for (std::size_t j = 0; j < 3; ++j) slope += gradient[j] * (b_[j] - a_[j]);
    return {};
  }

 private:
  std::vector<std::vector<double>> rows_;
  std::vector<double> targets_, weights_;
  std::vector<double> a_, b_;  // ends of the line
};

TEST(MapReduce, SumIsDividedByTheWeightAndThePenaltyAddedOnce) {
  std::vector<double> w{1, -2, 0.5}, expected(3), p{0, 0.25, 4}, tally(1);
  DealtRows all(0, 1);
  double value = 0;
  all.value_and_gradient(w, value, expected, tally);
  value = value / all.weight() + 0.5 * (0.25 * 4 + 4 * 0.25);
  for (std::size_t j = 0; j < 3; ++j) expected[j] = expected[j] / all.weight() + p[j] * w[j];
  for (const int n : {1, 2, 3, 5, 30}) {  // 30: some shards are empty
    run_threads(n, {}, [&](Endpoint& endpoint) {
      DealtRows mine(endpoint.rank(), endpoint.size());
      MapReduce problem(mine, endpoint, {.penalty = p, .judge = {}, .on_round = {}});
      std::vector<double> gradient(3);
      EXPECT_NEAR(problem.value_and_gradient(w, gradient), value, 1e-12);
      for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(gradient[j], expected[j], 1e-12);
      EXPECT_EQ(problem.tallies()[0], DealtRows::kRows);
      std::vector<double> product(3);
      problem.curvature_product(std::vector<double>{0, 0, 1}, product);
      std::vector<double> ahead(3), further{1, -2, 1.5}, again(3);
      const double value_ahead = problem.value_and_gradient(further, ahead);
      for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(product[j], ahead[j] - gradient[j], 1e-12);
      problem.hessian_product(w, std::vector<double>{0, 0, 1}, again);
      EXPECT_EQ(again, product);
      ASSERT_TRUE(problem.begin_line(w, further));
      const Problem::OnLine on_line = problem.on_line(1);
      EXPECT_NEAR(on_line.value, value_ahead, 1e-12);
      EXPECT_NEAR(on_line.slope, ahead[2], 1e-12);
      const Problem::OnLine beyond = problem.on_line(2.5);
      EXPECT_NEAR(beyond.value, problem.value_and_gradient(std::vector<double>{1, -2, 3}, again), 1e-12);
      EXPECT_NEAR(beyond.slope, again[2], 1e-12);
    });
  }
}

TEST(MapReduce, WhereASolverBeginsIsEvaluatedOnce) {
  run_threads(2, {}, [&](Endpoint& endpoint) {
    DealtRows rows(endpoint.rank(), endpoint.size());
    MapReduce problem(rows, endpoint, {.penalty = {0.1, 0.2, 0.3}, .judge = {}, .on_round = {}});
    const std::vector<double> w{1, -2, 0.5}, other{1, -2, 0.75};
    std::vector<double> once(3), again(3), product(3);
    const double value = problem.value_and_gradient(w, once);
    problem.begins_at(w);
    EXPECT_EQ(problem.value_and_gradient(w, again), value);
    EXPECT_EQ(again, once);
    EXPECT_EQ(problem.tallies()[0], DealtRows::kRows);
    EXPECT_EQ(problem.passes(), 1);
    // Not where something else comes first, nor elsewhere, nor twice.
    problem.begins_at(w);
    problem.curvature_product(w, product);
    EXPECT_EQ(problem.value_and_gradient(w, again), value);
    EXPECT_EQ(again, once);
    problem.begins_at(w);
    EXPECT_NE(problem.value_and_gradient(other, again), value);
    EXPECT_EQ(problem.value_and_gradient(w, again), value);
    EXPECT_EQ(problem.passes(), 5);
  });
}

TEST(MapReduce, EveryRankTakesTheSameStepsToTheSameModel) {
  for (const int n : {1, 4}) {
    std::vector<std::vector<double>> models(static_cast<std::size_t>(n));
    run_threads(n, {}, [&](Endpoint& endpoint) {
      DealtRows mine(endpoint.rank(), endpoint.size());
      const auto judge = [](const RoundState& state) -> Problem::Verdict {
        return {state.gradient_norm < 1e-10, StopReason::converged, "the gradient is small"};
      };
      MapReduce problem(mine, endpoint, {.penalty = {0, 0, 0}, .judge = judge, .on_round = {}});
      const SolverResult result = minimise_gd(problem, {0, 0, 0}, {});
      EXPECT_EQ(result.reason, StopReason::converged);
      models[static_cast<std::size_t>(endpoint.rank())] = result.w;
      EXPECT_LE(problem.rounds().size(), 1001u);
      EXPECT_EQ(problem.rounds().front().round, 1);
    });
    for (const auto& model : models) EXPECT_EQ(model, models[0]);
    EXPECT_NEAR(models[0][0], 3, 1e-8);
    EXPECT_NEAR(models[0][1], 5, 1e-8);
    EXPECT_NEAR(models[0][2], -2, 1e-8);
  }
}

TEST(MapReduce, OneRanksCancellationStopsAllAfterTheSameRound) {
  std::vector<std::int64_t> rounds(3);
  run_threads(3, {}, [&](Endpoint& endpoint) {
    CancellationToken token;
    DealtRows mine(endpoint.rank(), endpoint.size());
    const auto on_round = [&](const RoundReport& report, const RoundState&) {
      if (endpoint.rank() == 2 && report.round == 5) token.cancel();
    };
    MapReduce problem(mine, endpoint,
                      {.penalty = {0, 0, 0}, .cancellation = &token, .judge = {}, .on_round = on_round});
    const SolverResult result = minimise_gd(problem, {0, 0, 0}, {});
    EXPECT_EQ(result.reason, StopReason::interrupted);
    rounds[static_cast<std::size_t>(endpoint.rank())] = result.rounds;
  });
  EXPECT_EQ(rounds, (std::vector<std::int64_t>{6, 6, 6}));
}

TEST(MapReduce, TheTimeLimitStopsAll) {
  run_threads(2, {}, [&](Endpoint& endpoint) {
    DealtRows mine(endpoint.rank(), endpoint.size());
    MapReduce problem(mine, endpoint, {.penalty = {0, 0, 0}, .max_seconds = 0, .judge = {}, .on_round = {}});
    const SolverResult result = minimise_gd(problem, {0, 0, 0}, {});
    EXPECT_EQ(result.reason, StopReason::max_time);
    EXPECT_EQ(result.rounds, 1);
  });
}

}  // namespace
}  // namespace muster
