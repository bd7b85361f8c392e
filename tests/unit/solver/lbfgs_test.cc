#include "solver/lbfgs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "lines.h"

namespace muster {
namespace {

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t j = 0; j < a.size(); ++j) largest = std::max(largest, std::abs(a[j] - b[j]));
  return largest;
}

// One variable: the first step is gᵀg/gᵀBg = 1/h, which is Newton's.
TEST(Lbfgs, FirstStepByHand) {
  Quadratic f({4, 2}, {1, -1});  // at (0, 0): g = (−4, 2), gᵀg = 20, gᵀBg = 72; w = (20/72)·(4, −2)
  f.stop_at = 2;
  const SolverResult result = minimise_lbfgs(f, {0, 0}, {});
  EXPECT_NEAR(result.w[0], 80.0 / 72, 1e-15);
  EXPECT_NEAR(result.w[1], -40.0 / 72, 1e-15);
  EXPECT_EQ(result.rounds, 2);
  EXPECT_EQ(result.evaluations, 2);
}

// The second direction is −Hg with H = (I − ρsyᵀ)γI(I − ρysᵀ) + ρssᵀ, written out.
TEST(Lbfgs, SecondDirectionIsTheFormulaOfOnePair) {
  Quadratic f({4, 2}, {1, -1});
  f.stop_at = 3;
  const SolverResult result = minimise_lbfgs(f, {0, 0}, {});
  const std::vector<double> w1 = f.path[1], s = w1;
  const std::vector<double> g0 = {-4, 2}, g1 = {4 * (w1[0] - 1), 2 * (w1[1] + 1)};
  const std::vector<double> y = {g1[0] - g0[0], g1[1] - g0[1]};
  const double sy = s[0] * y[0] + s[1] * y[1], yy = y[0] * y[0] + y[1] * y[1], sg = s[0] * g1[0] + s[1] * g1[1];
  const std::vector<double> q = {g1[0] - sg / sy * y[0], g1[1] - sg / sy * y[1]};
  const std::vector<double> r = {sy / yy * q[0], sy / yy * q[1]};
  const double back = sg / sy - (y[0] * r[0] + y[1] * r[1]) / sy;
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(result.w[j], w1[j] - (r[j] + back * s[j]), 1e-14);
}

// With memory for every step and exact line searches the directions are those of conjugate gradients: n steps.
TEST(Lbfgs, QuadraticInAsManyStepsAsDimensions) {
  const std::size_t n = 20;
  std::vector<double> h, minimum;
  for (std::size_t j = 0; j < n; ++j) {
    h.push_back(std::pow(1.3, static_cast<double>(j)));
    minimum.push_back(std::sin(1.0 + static_cast<double>(j)));
  }
  Quadratic f(h, minimum);
  f.stop_at = n + 3;
  LbfgsOptions options{.descent = {}, .memory = 30};
  options.descent.line_search.curvature = 1e-7;
  const SolverResult result = minimise_lbfgs(f, std::vector<double>(n, 0.0), options);
  EXPECT_LT(largest_difference(result.w, minimum), 1e-10);
  EXPECT_LE(result.rounds, static_cast<std::int64_t>(n) + 3);
}

// As it is used: memory 10, inexact steps, condition number 1e3 over 50 dimensions. Gradient descent takes 1e4 rounds.
TEST(Lbfgs, IllConditionedQuadraticInAFewHundredRounds) {
  std::vector<double> h, minimum;
  for (int j = 0; j < 50; ++j) {
    h.push_back(std::pow(1e3, j / 49.0));
    minimum.push_back(std::cos(3.0 * j));
  }
  Quadratic f(h, minimum);
  const SolverResult result = minimise_lbfgs(f, std::vector<double>(50, 0.0), {.descent = {.max_rounds = 500}});
  EXPECT_LT(largest_difference(result.w, minimum), 1e-10);
  EXPECT_LT(result.evaluations, result.rounds * 5 / 4 + 60);
  for (std::size_t t = 1; t < f.values.size(); ++t) EXPECT_LE(f.values[t], f.values[t - 1]);
}

// One evaluation a round, the first one's step found on its line too: n steps again, by close searches.
TEST(Lbfgs, ALineThatIsSeenCostsOneEvaluation) {
  const std::size_t n = 20;
  std::vector<double> h, minimum;
  for (std::size_t j = 0; j < n; ++j) {
    h.push_back(std::pow(1.3, static_cast<double>(j)));
    minimum.push_back(std::sin(1.0 + static_cast<double>(j)));
  }
  SeenAlong f(h, minimum);
  f.stop_at = n + 3;
  LbfgsOptions options{.descent = {}, .memory = 30};
  options.descent.line_search.curvature_on_line = 1e-7;
  const SolverResult result = minimise_lbfgs(f, std::vector<double>(n, 0.0), options);
  EXPECT_LT(largest_difference(result.w, minimum), 1e-10);
  EXPECT_LE(result.rounds, static_cast<std::int64_t>(n) + 3);
  EXPECT_EQ(f.evaluations, result.rounds);
  EXPECT_EQ(f.lines_ended, result.rounds - 1);
  EXPECT_EQ(f.evaluations, result.evaluations);
}

// f(w) = Σ 100 (w_{2k+1} − w_{2k}²)² + (1 − w_{2k})², minimum 0 at (1, …, 1).
class Rosenbrock : public Quadratic {
 public:
  using Quadratic::Quadratic;
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    double value = 0;
    for (std::size_t k = 0; k < w.size(); k += 2) {
      const double a = w[k + 1] - w[k] * w[k], b = 1 - w[k];
      value += 100 * a * a + b * b;
      gradient[k] = -400 * a * w[k] - 2 * b;
      gradient[k + 1] = 200 * a;
    }
    return value;
  }
};

TEST(Lbfgs, RosenbrockFromTheUsualStart) {
  for (const double curvature : {0.1, 0.5, 0.9}) {
    Rosenbrock f({1, 1, 1, 1}, {0, 0, 0, 0});
    LbfgsOptions options{.descent = {.max_rounds = 100}};
    options.descent.line_search.curvature = curvature;
    const SolverResult result = minimise_lbfgs(f, {-1.2, 1, -1.2, 1}, options);
    EXPECT_LT(largest_difference(result.w, {1, 1, 1, 1}), 1e-8) << "c2 = " << curvature;
  }
}

// −Hg by the two loops of the textbook, from points and their gradients, the last `memory` pairs of them.
std::vector<double> two_loops(const std::vector<std::vector<double>>& points,
                              const std::vector<std::vector<double>>& gradients, std::size_t memory) {
  const auto product = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
    return sum;
  };
  std::vector<std::vector<double>> s, y;
  for (std::size_t k = points.size() - std::min(points.size(), memory + 1); k + 1 < points.size(); ++k) {
    s.push_back(points[k + 1]);
    y.push_back(gradients[k + 1]);
    for (std::size_t j = 0; j < s.back().size(); ++j) s.back()[j] -= points[k][j];
    for (std::size_t j = 0; j < s.back().size(); ++j) y.back()[j] -= gradients[k][j];
  }
  std::vector<double> q = gradients.back(), a(s.size());
  for (std::size_t i = s.size(); i-- > 0;) {
    a[i] = product(s[i], q) / product(s[i], y[i]);
    for (std::size_t j = 0; j < q.size(); ++j) q[j] -= a[i] * y[i][j];
  }
  for (double& value : q) value *= s.empty() ? 1 : product(s.back(), y.back()) / product(y.back(), y.back());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const double b = product(y[i], q) / product(s[i], y[i]);
    for (std::size_t j = 0; j < q.size(); ++j) q[j] += (a[i] - b) * s[i][j];
  }
  for (double& value : q) value = -value;
  return q;
}

// Whatever the step, it goes along the textbook's direction; of more rounds than are remembered, of more coordinates
// than are worked on together.
TEST(Lbfgs, DirectionsAreThoseOfTheTwoLoops) {
  for (const std::size_t n : {4, 2502}) {
    const std::vector<double> usual = {-1.2, 1, 0.7, 1.9};
    std::vector<double> start(n);
    for (std::size_t j = 0; j < n; ++j) start[j] = usual[j % 4] + 1e-4 * static_cast<double>(j / 4);
    Rosenbrock f(std::vector<double>(n, 1), std::vector<double>(n, 0));
    f.stop_at = 20;
    minimise_lbfgs(f, start, {.descent = {}, .memory = 4});
    ASSERT_EQ(f.path.size(), 20u);
    std::vector<std::vector<double>> points, gradients;
    for (std::size_t k = 0; k + 1 < f.path.size(); ++k) {
      points.push_back(f.path[k]);
      f.value_and_gradient(f.path[k], gradients.emplace_back(n));
      const std::vector<double> p = two_loops(points, gradients, 4);
      const double step = (f.path[k + 1][0] - f.path[k][0]) / p[0];
      double largest = 0;
      for (const double part : p) largest = std::max(largest, std::abs(step * part));
      for (std::size_t j = 0; j < n; ++j)
        ASSERT_NEAR(f.path[k + 1][j] - f.path[k][j], step * p[j], 1e-6 * largest) << k << " " << j;
    }
  }
}

// 1 − x, and a wall at 10: two slopes that all but agree make a step that no search of three trials comes back from.
TEST(Lbfgs, ForgetsPairsThatLeadNowhere) {
  const auto value = [](double x) { return 1 - x + 1e-9 * x * x / 2 + (x > 10 ? 50 * (x - 10) * (x - 10) : 0); };
  const auto slope = [](double x) { return -1 + 1e-9 * x + (x > 10 ? 100 * (x - 10) : 0); };
  SingleLine line(value, slope);
  LbfgsOptions options{.descent = {.max_rounds = 60}};
  options.descent.line_search.max_trials = 3;
  const SolverResult result = minimise_lbfgs(line, {0}, options);
  EXPECT_NEAR(result.w[0], 10.01, 1e-6) << result.detail;
}

// Where nothing is known of the curvature the first step is one of length 1.
TEST(Lbfgs, StartsWhereTheCurvatureIsSaidToBeNone) {
  Quadratic f({1, 1}, {3, 4});
  f.reported_curvature = 0;
  f.stop_at = 2;
  const SolverResult result = minimise_lbfgs(f, {0, 0}, {});
  EXPECT_NEAR(result.w[0], 0.6, 1e-15);
  EXPECT_NEAR(result.w[1], 0.8, 1e-15);
}

TEST(Lbfgs, ShortensAStepThatIsNotFinite) {
  Quadratic f({1, 1}, {3, 4});
  f.reported_curvature = 0.01;  // a first step a hundred times too long
  f.finite_within = 3.5;
  const SolverResult result = minimise_lbfgs(f, {0, 0}, {.descent = {.max_rounds = 100}});
  EXPECT_LT(largest_difference(result.w, {3, 4}), 1e-9);
  SeenAlong seen({1, 1}, {3, 4});
  seen.finite_within = 3.5;
  EXPECT_LT(largest_difference(minimise_lbfgs(seen, {0, 0}, {.descent = {.max_rounds = 100}}).w, {3, 4}), 1e-9);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  SingleLine line([](double x) { return (x - 3) * (x - 3); }, [](double x) { return x > 3.5 ? kNone : 2 * (x - 3); });
  line.reported_curvature = 1.6;  // a first step to 3.75, lower than the start
  EXPECT_NEAR(minimise_lbfgs(line, {0}, {.descent = {.max_rounds = 100}}).w[0], 3, 1e-9);
}

TEST(Lbfgs, DivergedKeepsTheLastFinitePoint) {
  Quadratic nowhere({1}, {3});
  nowhere.finite_within = -1;
  EXPECT_EQ(minimise_lbfgs(nowhere, {0}, {}).reason, StopReason::diverged);
  Quadratic fenced({1}, {3});
  fenced.finite_within = 0;  // at the start alone
  const SolverResult result = minimise_lbfgs(fenced, {0}, {});
  EXPECT_EQ(result.reason, StopReason::diverged);
  EXPECT_EQ(result.w[0], 0);
}

TEST(Lbfgs, StopsAtTheRoundingFloorAndSaysSo) {
  for (const double base : {1.0, 1e3, 1e6}) {
    Quadratic f({3, 1, 0.02, 500}, {0.1, 0.7, 5, 1});
    f.base = base;
    const SolverResult result = minimise_lbfgs(f, {0, 0, 0, 0}, {});
    EXPECT_EQ(result.reason, StopReason::converged) << result.detail;
    EXPECT_TRUE(result.detail.find("rounding floor") != std::string::npos || result.detail == "the gradient is 0");
    EXPECT_LT(result.evaluations, 300);
    EXPECT_LT(largest_difference(result.w, {0.1, 0.7, 5, 1}), 1e-6);
  }
}

TEST(Lbfgs, AGradientThatIsNotOneStalls) {
  SingleLine wrong([](double x) { return x; }, [](double) { return -1.0; });
  EXPECT_EQ(minimise_lbfgs(wrong, {5}, {.descent = {.max_rounds = 50}}).reason, StopReason::stalled);
}

TEST(Lbfgs, StopsAtTheLimitOnRounds) {
  Quadratic f({1000, 30, 1}, {1, 1, 1});
  const SolverResult result = minimise_lbfgs(f, {0, 0, 0}, {.descent = {.max_rounds = 4}});
  EXPECT_EQ(result.reason, StopReason::max_rounds);
  EXPECT_EQ(result.rounds, 4);
  EXPECT_EQ(minimise_lbfgs(f, {0, 0, 0}, {.descent = {.max_rounds = 9, .first_round = 7}}).rounds, 2);
}

// A request that arrives within a line search is heard after that evaluation, at the point the search began.
TEST(Lbfgs, BreaksOffALineSearchWhenAskedToStop) {
  Quadratic f({1, 1}, {3, 4});
  f.reported_curvature = 1e-9;  // a search of many evaluations
  f.stop_after_evaluations = 4;
  const SolverResult result = minimise_lbfgs(f, {0, 0}, {});
  EXPECT_EQ(f.evaluations, 4);
  EXPECT_EQ(result.detail, "as the test asked");
  EXPECT_EQ(result.w, (std::vector<double>{0, 0}));
  SeenAlong seen({1, 1}, {3, 4});
  seen.stop_after_evaluations = 2;  // heard at the end of a line that is seen
  EXPECT_EQ(minimise_lbfgs(seen, {0, 0}, {}).w, (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace muster
