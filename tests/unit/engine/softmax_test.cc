// Softmax through fit(): the problem as all trainers are given it, its intercepts, and data without a minimiser.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/fit_intercepts.h"
#include "fit_on.h"
#include "muster/error.h"

namespace muster {
namespace {

Table class_table(std::size_t rows, std::size_t columns, std::size_t classes) {
  Table t{{}, {}, {}, {}, {}, {}};
  for (std::size_t k = 0; k < classes; ++k) t.classes.push_back("c" + std::to_string(k));
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> row;
    std::vector<double> z(classes);
    for (std::size_t k = 0; k < classes; ++k) z[k] = 2 * std::sin(43758.5453 * static_cast<double>(i * classes + k));
    for (std::size_t j = 0; j < columns; ++j) {
      const double x = std::sin(1.0 + 12.9898 * static_cast<double>(i + 1) + 78.233 * static_cast<double>(j * (i + 3)));
      const double size = std::pow(10.0, static_cast<double>(j % 3));
      row.push_back(size * (x + 5 * static_cast<double>(j % 2)));
      for (std::size_t k = 0; k < classes; ++k) z[k] += x * std::cos(2.0 * static_cast<double>(j * classes + k));
    }
    t.x.push_back(row);
    t.y.push_back(static_cast<double>(std::max_element(z.begin(), z.end()) - z.begin()));
  }
  return t;
}

// f in the user's units, from its definition.
double softmax_objective(const Table& t, const LinearModel& m, double l2) {
  const std::size_t classes = m.outputs();
  double sum = 0, total = 0, penalty = 0;
  for (std::size_t i = 0; i < t.y.size(); ++i) {
    double exponentials = 0;
    std::vector<double> z = m.intercepts;
    for (std::size_t j = 0; j < t.x[i].size(); ++j)
      for (std::size_t k = 0; k < classes; ++k) z[k] += m.w[j * classes + k] * t.x[i][j];
    for (const double margin : z) exponentials += std::exp(margin - z[static_cast<std::size_t>(t.y[i])]);
    const double s = t.weights.empty() ? 1 : t.weights[i];
    sum += s * std::log(exponentials);
    total += s;
  }
  for (const double w : m.w) penalty += w * w;
  return sum / total + 0.5 * l2 * penalty;
}

TrainOptions softmax_options(SolverChoice solver, double l2, double tolerance = 1e-9) {
  TrainOptions options = with(Loss::softmax, solver, l2);
  options.stop.tolerance = tolerance;
  return options;
}

// Every solver, number of ranks and storage ends at the same minimum, which no model nearby undercuts, and the bound
// that comes with the model holds.
TEST(Softmax, SolversMeet) {
  const Table t = class_table(300, 4, 4);
  const double l2 = 1e-3;
  const FitResult best = fit_on(t, softmax_options(SolverChoice::lbfgs, l2, 1e-13));
  const double least = best.report.certificate.objective;
  EXPECT_NEAR(softmax_objective(t, best.model, l2), least, 1e-14);
  for (std::size_t i = 0; i < best.model.w.size(); ++i) {
    for (const double step : {-1e-5, 1e-5}) {
      LinearModel near = best.model;
      near.w[i] += step;
      EXPECT_GE(softmax_objective(t, near, l2), least);
    }
  }
  for (const auto solver : {SolverChoice::automatic, SolverChoice::gd, SolverChoice::nesterov, SolverChoice::lbfgs}) {
    for (const bool sparse : {false, true}) {
      const FitResult r = fit_on(t, softmax_options(solver, l2), {.ranks = 3, .threads = 2, .sparse = sparse});
      const Certificate& certificate = r.report.certificate;
      EXPECT_EQ(r.report.stop_reason, StopReason::converged) << r.report.stop_detail;
      EXPECT_NEAR(certificate.objective, least, 1e-9 * certificate.relative_target);
      ASSERT_TRUE(certificate.suboptimality_bound.has_value());
      EXPECT_GE(*certificate.suboptimality_bound + 1e-14, certificate.objective - least);
    }
  }
}

TEST(Softmax, SameBitsForAnyThreads) {
  const Table t = class_table(3000, 6, 5);
  const TrainOptions options = softmax_options(SolverChoice::lbfgs, 1e-3, 1e-7);
  const FitResult one = fit_on(t, options, {.ranks = 2});
  for (const int threads : {2, 3}) {
    const FitResult many = fit_on(t, options, {.ranks = 2, .threads = threads});
    EXPECT_EQ(many.model.w, one.model.w);
    EXPECT_EQ(many.model.intercepts, one.model.intercepts);
  }
}

// w = w_1 − w_0 with w_1 = −w_0 has |w_0|² + |w_1|² = |w|²/2: softmax with l2 is logistic regression with l2/2.
TEST(Softmax, TwoClassesAreLogisticWithHalfThePenalty) {
  const Table t = class_table(400, 3, 2);
  for (const bool standardize : {false, true}) {
    TrainOptions two = softmax_options(SolverChoice::lbfgs, 0.02, 1e-13),
                 one = with(Loss::logistic, SolverChoice::lbfgs, 0.01);
    two.problem.standardize = one.problem.standardize = standardize;
    one.stop.tolerance = 1e-13;
    const FitResult classes = fit_on(t, two), logistic = fit_on(t, one);
    EXPECT_NEAR(classes.report.certificate.objective, logistic.report.certificate.objective, 1e-13);
    for (std::size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(classes.model.w[2 * j + 1] - classes.model.w[2 * j], logistic.model.w[j],
                  1e-6 * std::abs(logistic.model.w[j]));
    }
    EXPECT_NEAR(classes.model.intercepts[1] - classes.model.intercepts[0], logistic.model.intercepts[0], 1e-5);
  }
}

// Of the models that differ by a shift of all classes, the one of least norm; with an l1 penalty shifts of w do differ.
TEST(Softmax, CoefficientsAndInterceptsOfAllClassesAddUpToZero) {
  const Table t = class_table(200, 4, 3);
  for (const double l1 : {0.0, 0.01}) {
    TrainOptions options = softmax_options(SolverChoice::automatic, 0, 1e-6);
    options.problem.l1 = l1;
    const FitResult r = fit_on(t, options, {.ranks = 2});
    EXPECT_EQ(r.report.stop_reason, StopReason::converged) << r.report.stop_detail;
    double intercepts = 0;
    for (const double b : r.model.intercepts) intercepts += b;
    EXPECT_NEAR(intercepts, 0, 1e-13);
    for (std::size_t j = 0; j < 4 && l1 == 0; ++j) {
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < 3; ++k) {
        sum += r.model.w[3 * j + k];
        size += std::abs(r.model.w[3 * j + k]);
      }
      EXPECT_NEAR(sum, 0, 1e-15 * size);
    }
    if (l1 > 0) {
      EXPECT_GT(std::count(r.model.w.begin(), r.model.w.end(), 0.0), 0);
    }
  }
}

// The best constant model: b_k = ln(share of class k), whose objective is the entropy of the shares.
TEST(Softmax, AStrongPenaltyLeavesTheClassesShares) {
  Table t = class_table(90, 2, 3);
  for (std::size_t i = 0; i < 90; ++i) {
    t.y[i] = i < 9 ? 0 : i < 36 ? 1 : 2;
    t.weights.push_back(i % 3 == 0 ? 2 : 1);
  }
  TrainOptions options = softmax_options(SolverChoice::lbfgs, 1e12);
  const FitResult r = fit_on(t, options, {.ranks = 2});
  double entropy = 0;
  for (const double share : {0.1, 0.3, 0.6}) entropy -= share * std::log(share);
  EXPECT_NEAR(r.report.certificate.relative_target, entropy, 1e-12);
  EXPECT_NEAR(r.report.certificate.objective, entropy, 1e-9);
  EXPECT_NEAR(r.model.intercepts[2] - r.model.intercepts[0], std::log(6.0), 1e-6);
}

TEST(Softmax, SeparableClassesAreSaidNotIterated) {
  // x1 puts b above a and c, touching c in 4; a and c overlap.
  Table touching{{{1}, {3}, {4}, {2}, {6}, {9}, {4}}, {0, 0, 2, 2, 1, 1, 1}, {}, {}, {}, {"a", "b", "c"}};
  const TrainOptions options = softmax_options(SolverChoice::lbfgs, 0);
  const FitResult by_one = fit_on(touching, options, {.ranks = 2});
  EXPECT_EQ(by_one.report.stop_reason, StopReason::diverged);
  EXPECT_NE(by_one.report.stop_detail.find("'x1' alone separates"), std::string::npos);
  // By x1 − x2 below −1, between, above 1: no column alone tells the classes apart.
  const Table apart{{{0, 0}, {5, 5}, {2, 0}, {6, 3}, {0, 2}, {3, 6}}, {0, 0, 1, 1, 2, 2}, {}, {}, {}, {"a", "b", "c"}};
  const FitResult by_two = fit_on(apart, options, {.ranks = 2});
  EXPECT_EQ(by_two.report.stop_reason, StopReason::diverged);
  EXPECT_NE(by_two.report.stop_detail.find("separable"), std::string::npos) << by_two.report.stop_detail;
  for (const double w : by_two.model.w) EXPECT_TRUE(std::isfinite(w));
  EXPECT_EQ(fit_on(touching, softmax_options(SolverChoice::lbfgs, 0.1)).report.stop_reason, StopReason::converged);
}

TEST(Softmax, AClassWithoutWeightIsRefused) {
  Table t = class_table(60, 2, 3);
  for (const double y : t.y) t.weights.push_back(y == 1 ? 0 : 1);
  try {
    fit_on(t, softmax_options(SolverChoice::lbfgs, 0.1), {.ranks = 2});
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("class 'c1' has weight 0"), std::string::npos) << error.what();
  }
}

// H = diag(p) − ppᵀ of one row, p = (0.1, 0.2, 0.3, 0.4).
TEST(InterceptCurvature, SolvesAndBoundsTheLaplacian) {
  const std::vector<double> p{0.1, 0.2, 0.3, 0.4};
  std::vector<double> tallies{0};
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t b = a + 1; b < 4; ++b) tallies.push_back(3 * p[a] * p[b]);
  const InterceptCurvature curvature(Loss::softmax, 4, tallies, 3);
  for (int kind = 0; kind < 20; ++kind) {
    std::vector<double> g(4);
    double mean = 0, square = 0, decrement = 0;
    for (std::size_t k = 0; k < 4; ++k) mean += g[k] = 0.1 * std::sin(kind + 5.0 * static_cast<double>(k));
    for (double& x : g) {
      x -= mean / 4;
      square += x * x;
    }
    const std::vector<double> step = curvature.newton_step(g);
    double dot = 0, sum = 0;
    for (std::size_t k = 0; k < 4; ++k) dot += p[k] * step[k];
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_NEAR(p[k] * step[k] - p[k] * dot, -g[k], 1e-15);
      decrement -= g[k] * step[k];
      sum += step[k];
    }
    EXPECT_NEAR(sum, 0, 1e-14);
    EXPECT_LE(decrement, square / curvature.least());
  }
  EXPECT_GT(curvature.least(), 0.1 / 4);  // the least eigenvalue is above the least share, and 3 of them make the trace
  // Classes that no row is in doubt between: nothing is known of their intercepts' distance.
  tallies = {0, 1, 0, 0, 0, 0, 1};
  EXPECT_LT(InterceptCurvature(Loss::softmax, 4, tallies, 3).least(), 1e-200);
}

}  // namespace
}  // namespace muster
