#include "engine/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "fit_on.h"
#include "muster/error.h"

namespace muster {
namespace {

// f in the user's units, from its definition.
double objective(const Table& t, const LinearModel& m, Loss loss, double l2) {
  double sum = 0, total = 0, penalty = 0;
  for (std::size_t i = 0; i < t.y.size(); ++i) {
    double z = m.intercepts[0] + (t.offsets.empty() ? 0 : t.offsets[i]);
    for (std::size_t j = 0; j < m.w.size(); ++j) z += m.w[j] * t.x[i][j];
    const double s = t.weights.empty() ? 1 : t.weights[i];
    total += s;
    sum += s * (loss == Loss::squared ? 0.5 * (z - t.y[i]) * (z - t.y[i])
                                      : std::max(z, 0.0) - t.y[i] * z + std::log1p(std::exp(-std::abs(z))));
  }
  for (double w : m.w) penalty += w * w;
  return sum / total + 0.5 * l2 * penalty;
}

Table example(std::size_t rows, std::size_t columns, bool classes = false) {
  Table t;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> row;
    double z = 0.3;
    for (std::size_t j = 0; j < columns; ++j) {
      row.push_back(std::pow(10.0, static_cast<double>(j % 4)) *
                    (std::sin(1.0 + 12.9898 * static_cast<double>(i + 1) + 78.233 * static_cast<double>(j * (i + 3))) +
                     3 * static_cast<double>(j % 2)));
      z += std::cos(2.0 * static_cast<double>(j)) * row.back() / std::pow(10.0, static_cast<double>(j % 4));
    }
    const double noise = std::sin(43758.5453 * static_cast<double>(i) + 1);
    t.x.push_back(row);
    t.y.push_back(classes ? (z + 3 * noise > 0 ? 1 : 0) : z + noise);
  }
  return t;
}

// x = 1..4, y = 2, 4, 5, 8: slope 1.9, intercept 0, residual sum of squares 0.7, total 18.75.
TEST(Fit, NormalEquationsByHand) {
  const Table t{{{1}, {2}, {3}, {4}}, {2, 4, 5, 8}, {}, {}, {}};
  for (const auto solver : {SolverChoice::automatic, SolverChoice::exact, SolverChoice::lbfgs, SolverChoice::gd}) {
    const FitResult r = fit_on(t, with(Loss::squared, solver), {.ranks = 2});
    EXPECT_NEAR(r.model.w[0], 1.9, 1e-6);
    EXPECT_NEAR(r.model.intercepts[0], 0, 1e-5);
    EXPECT_NEAR(r.report.certificate.objective, 0.0875, 1e-9);
    EXPECT_NEAR(*r.report.certificate.training_rmse, std::sqrt(0.175), 1e-7);
    EXPECT_NEAR(*r.report.certificate.training_r2, 1 - 0.7 / 18.75, 1e-7);
    EXPECT_NEAR(r.report.certificate.relative_target, 18.75 / 8, 1e-12);
    EXPECT_EQ(r.report.stop_reason, StopReason::converged);
    EXPECT_EQ(r.report.workers.size(), 2u);
    EXPECT_EQ(r.report.workers[1].rows, 2);
    EXPECT_EQ(r.report.solver_reason.empty(), solver != SolverChoice::automatic);
  }
}

// Those that iterate and exact must meet, in both placements of the penalty, with and without an intercept, weighted,
// with offsets, dense and sparse, for any number of ranks; and no model nearby may be better.
TEST(Fit, SolversMeetInEveryProblem) {
  Table t = example(60, 5);
  for (std::size_t i = 0; i < t.y.size(); ++i) {
    t.weights.push_back(1 + static_cast<double>(i % 3));
    t.offsets.push_back(0.1 * static_cast<double>(i % 5));
    if (i % 2) t.x[i][2] = 0;
  }
  for (int kind = 0; kind < 16; ++kind) {
    TrainOptions options = with(Loss::squared, SolverChoice::exact, kind & 1 ? 0.05 : 0);
    options.problem.standardize = kind & 2;
    options.problem.intercept = !(kind & 4);
    options.verify = kind & 8;
    options.stop.tolerance = 1e-10;
    const How how{.ranks = 1 + kind % 4, .sparse = (kind & 8) != 0};
    const FitResult exact = fit_on(t, options, how);
    for (const auto solver : {SolverChoice::gd, SolverChoice::lbfgs}) {
      options.run.solver = solver;
      const FitResult iterated = fit_on(t, options, how);
      EXPECT_EQ(iterated.report.stop_reason, StopReason::converged) << iterated.report.stop_detail;
      const Certificate &a = exact.report.certificate, &b = iterated.report.certificate;
      EXPECT_NEAR(b.objective, a.objective, 1e-8 * a.objective) << kind;
      EXPECT_NEAR(a.relative_target, b.relative_target, 1e-9 * a.relative_target);
      EXPECT_NEAR(*a.training_r2, *b.training_r2, 1e-5);
      for (std::size_t j = 0; j < 5; ++j)
        EXPECT_NEAR(iterated.model.w[j], exact.model.w[j], 1e-3 * std::abs(exact.model.w[j]));
      EXPECT_LT(a.gradient_norm, 1e-13);
      EXPECT_LE(*a.suboptimality_bound, 1e-20);
      EXPECT_EQ(a.computed_from, kind & 8 ? "rows" : "statistics");
      if (!options.problem.standardize || !(kind & 1)) {
        EXPECT_NEAR(objective(t, exact.model, Loss::squared, options.problem.l2), a.objective, 1e-12 * a.objective);
        EXPECT_NEAR(objective(t, iterated.model, Loss::squared, options.problem.l2), b.objective, 1e-12 * b.objective);
      }
      if (kind & 1) {
        EXPECT_EQ(b.bound_source, "strong convexity");
        EXPECT_GE(*b.suboptimality_bound * (1 + 1e-6) + 1e-15, b.objective - a.objective);
        EXPECT_LE(*b.suboptimality_bound, 1.01e-10 * b.relative_target);
      } else {
        EXPECT_EQ(b.bound_source, "newton decrement");
        EXPECT_GE(*b.suboptimality_bound * (1 + 1e-6) + 1e-15, b.objective - a.objective);
      }
    }
  }
}

TEST(Fit, ReproducibleForAnyThreadsAndNearlySoForAnyRanks) {
  const Table t = example(3000, 6);
  for (const auto solver : {SolverChoice::exact, SolverChoice::lbfgs, SolverChoice::gd}) {
    TrainOptions options = with(Loss::squared, solver, 1e-3);
    const FitResult alone = fit_on(t, options);
    for (const int ranks : {1, 2, 3, 4}) {
      const FitResult one = fit_on(t, options, {.ranks = ranks, .threads = 1});
      const FitResult three = fit_on(t, options, {.ranks = ranks, .threads = 3});
      EXPECT_EQ(one.model.w, three.model.w);
      EXPECT_EQ(one.model.intercepts, three.model.intercepts);
      for (std::size_t j = 0; j < 6; ++j)
        EXPECT_NEAR(one.model.w[j], alone.model.w[j], 1e-9 * std::abs(alone.model.w[j]));
    }
  }
}

TEST(Fit, EmptyShardsAreNoTrouble) {
  const Table t = example(3, 1);
  const FitResult alone = fit_on(t, with(Loss::squared, SolverChoice::exact));
  const FitResult many = fit_on(t, with(Loss::squared, SolverChoice::exact), {.ranks = 7});
  EXPECT_NEAR(alone.model.w[0], many.model.w[0], 1e-13);
}

TEST(Fit, DuplicateAndConstantColumnsAreNamed) {
  Table t = example(40, 2);
  for (auto& row : t.x) row.insert(row.end(), {row[0], 7.1});
  const FitResult exact = fit_on(t, with(Loss::squared, SolverChoice::exact), {.ranks = 2});
  EXPECT_NEAR(exact.model.w[0], exact.model.w[2], 1e-13);
  EXPECT_EQ(exact.model.w[3], 0);
  EXPECT_EQ(exact.report.dependent_columns, (std::vector<std::string>{"x3"}));
  ASSERT_EQ(exact.report.notes.size(), 1u);
  EXPECT_NE(exact.report.notes[0].find("'x4' is constant"), std::string::npos);
  for (const auto solver : {SolverChoice::gd, SolverChoice::lbfgs}) {
    TrainOptions options = with(Loss::squared, solver);
    options.stop.tolerance = 1e-10;
    const FitResult iterated = fit_on(t, options, {.ranks = 2});
    for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(iterated.model.w[j], exact.model.w[j], 1e-7);
    EXPECT_EQ(iterated.report.dependent_columns, exact.report.dependent_columns);
  }
}

TEST(Fit, MoreColumnsThanRowsSaysSo) {
  const Table t = example(5, 9);
  const FitResult r = fit_on(t, with(Loss::squared, SolverChoice::automatic), {.ranks = 2});
  EXPECT_LT(r.report.certificate.objective, 1e-20);
  ASSERT_FALSE(r.report.notes.empty());
  EXPECT_NE(r.report.notes.back().find("least norm"), std::string::npos);
}

TEST(Fit, ConstantTarget) {
  Table t = example(20, 3);
  for (double& y : t.y) y = 4.3;
  for (const auto solver : {SolverChoice::exact, SolverChoice::lbfgs, SolverChoice::gd}) {
    const FitResult r = fit_on(t, with(Loss::squared, solver));
    EXPECT_EQ(r.report.stop_reason, StopReason::converged) << r.report.stop_detail;
    EXPECT_NEAR(r.model.intercepts[0], 4.3, 1e-14);
    EXPECT_LT(r.report.certificate.objective, 1e-28);
    EXPECT_FALSE(r.report.certificate.training_r2.has_value());
  }
}

TEST(Fit, LogisticIsStationaryAndItsBoundHolds) {
  const Table t = example(400, 4, true);
  for (const double l2 : {0.0, 1e-3}) {
    TrainOptions options = with(Loss::logistic, SolverChoice::automatic, l2);
    options.stop.tolerance = 1e-9;
    const FitResult r = fit_on(t, options, {.ranks = 3});
    EXPECT_EQ(r.report.stop_reason, StopReason::converged) << r.report.stop_detail;
    EXPECT_EQ(r.report.solver, "lbfgs");
    const double f = objective(t, r.model, Loss::logistic, l2);
    EXPECT_NEAR(f, r.report.certificate.objective, 1e-13);
    for (std::size_t j = 0; j <= 4; ++j) {  // derivative by central differences, a scaled unit at a time
      const double h = 1e-4 / (j < 4 ? std::pow(10.0, static_cast<double>(j)) : 1);
      LinearModel up = r.model, down = r.model;
      (j < 4 ? up.w[j] : up.intercepts[0]) += h;
      (j < 4 ? down.w[j] : down.intercepts[0]) -= h;
      EXPECT_NEAR((objective(t, up, Loss::logistic, l2) - objective(t, down, Loss::logistic, l2)) / 2e-4, 0, 2e-5);
    }
    if (l2 > 0) {
      EXPECT_LE(*r.report.certificate.suboptimality_bound, 1e-9 * r.report.certificate.relative_target);
    }
  }
}

class FitBySolver : public testing::TestWithParam<SolverChoice> {};

TEST_P(FitBySolver, SeparableClassesAreSaidNotIterated) {
  Table one{{{1, 5}, {2, 1}, {3, 7}, {4, 2}, {4, 9}, {6, 3}}, {0, 0, 0, 0, 1, 1}, {}, {}, {}};  // touch at x1 = 4
  const FitResult by_one = fit_on(one, with(Loss::logistic, GetParam()), {.ranks = 2});
  EXPECT_EQ(by_one.report.stop_reason, StopReason::diverged);
  EXPECT_NE(by_one.report.stop_detail.find("'x1' alone separates"), std::string::npos);
  EXPECT_EQ(by_one.report.rounds_done, 0);
  Table both{{{0, 3}, {3, 0}, {1, 1}, {2, 3}, {4, 1}, {3, 3}}, {0, 0, 0, 1, 1, 1}, {}, {}, {}};  // x1 + x2 < 4
  const FitResult complete = fit_on(both, with(Loss::logistic, GetParam()), {.ranks = 2});
  EXPECT_EQ(complete.report.stop_reason, StopReason::diverged);
  EXPECT_NE(complete.report.stop_detail.find("separable"), std::string::npos);
  for (double w : complete.model.w) EXPECT_TRUE(std::isfinite(w));
  EXPECT_EQ(fit_on(both, with(Loss::logistic, GetParam(), 0.1)).report.stop_reason, StopReason::converged);
}

TEST(Fit, RefusalsAreSentences) {
  const auto refused = [](const Table& t, const TrainOptions& options) -> std::string {
    try {
      fit_on(t, options, {.ranks = 2});
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  Table t = example(10, 2, true);
  EXPECT_NE(refused(t, with(Loss::logistic, SolverChoice::exact)).find("--solver lbfgs"), std::string::npos);
  t.weights.assign(10, 0.0);
  EXPECT_NE(refused(t, with(Loss::squared, SolverChoice::exact)).find("weight 0"), std::string::npos);
  t.weights.clear();
  t.y.assign(10, 1.0);
  EXPECT_NE(refused(t, with(Loss::logistic, SolverChoice::gd)).find("level 'no'"), std::string::npos);
  t.x[3][1] = 1e200;
  EXPECT_NE(refused(t, with(Loss::squared, SolverChoice::gd)).find("'x2' are too large"), std::string::npos);
}

TEST_P(FitBySolver, StopsWhereAskedKeepsTheModelAndResumes) {
  const Table t = example(200, 5, true);
  TrainOptions options = with(Loss::logistic, GetParam(), 1e-4);
  options.stop.tolerance = 1e-8;
  const FitResult whole = fit_on(t, options, {.ranks = 2});
  const int few = GetParam() == SolverChoice::gd ? 20 : 8;
  options.stop.max_rounds = few;
  std::int64_t saved = 0;
  const FitResult part = fit_on(t, options, {.ranks = 2, .adjust = [&](FitRequest& request) {
                                               request.wants_checkpoint = [] { return true; };
                                               request.save_checkpoint = [&](std::int64_t round, const LinearModel& m) {
                                                 EXPECT_TRUE(std::isfinite(m.w[0]) && round >= 1);
                                                 __atomic_fetch_add(&saved, 1, __ATOMIC_RELAXED);
                                               };
                                             }});
  EXPECT_EQ(part.report.stop_reason, StopReason::max_rounds);
  EXPECT_EQ(part.report.rounds_done, few);
  EXPECT_EQ(saved, few);
  options.stop.max_rounds = 100'000;
  const FitResult resumed = fit_on(t, options, {.ranks = 3, .adjust = [&](FitRequest& r) { r.start = part.model; }});
  EXPECT_EQ(resumed.report.stop_reason, StopReason::converged);
  EXPECT_LT(resumed.report.rounds_done, whole.report.rounds_done);
  EXPECT_NEAR(resumed.report.certificate.objective, whole.report.certificate.objective,
              1e-8 * whole.report.certificate.objective);
  CancellationToken token;
  const auto cancel = [&](FitRequest& request) {
    request.cancellation = &token;
    request.on_round = [&](const RoundReport& round, double) {
      if (round.round == 3) token.cancel();
    };
  };
  const FitResult interrupted = fit_on(t, options, {.ranks = 2, .adjust = cancel});
  EXPECT_EQ(interrupted.report.stop_reason, StopReason::interrupted);
  EXPECT_LE(interrupted.report.rounds_done, 5);
}

INSTANTIATE_TEST_SUITE_P(Solvers, FitBySolver, testing::Values(SolverChoice::gd, SolverChoice::lbfgs),
                         [](const auto& solver) { return solver.param == SolverChoice::gd ? "gd" : "lbfgs"; });

}  // namespace
}  // namespace muster
