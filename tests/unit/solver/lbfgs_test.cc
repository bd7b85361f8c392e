#include "solver/lbfgs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "quadratic.h"

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

// Tells φ on a line that was begun, without counting it as an evaluation.
class KnownOnLines : public Quadratic {
 public:
  using Quadratic::Quadratic;
  OnLine on_line(double t) override {
    std::vector<double> w(a_), gradient(a_);
    for (std::size_t j = 0; j < w.size(); ++j) w[j] += t * (b_[j] - a_[j]);
    OnLine at{Quadratic::value_and_gradient(w, gradient), 0};
    for (std::size_t j = 0; j < w.size(); ++j) at.slope += gradient[j] * (b_[j] - a_[j]);
    if (std::isinf(at.value)) at.value -= at.value;  // not a number, as sums of what is not finite may be
    --evaluations;
    return at;
  }

 protected:
  void set_line(std::span<const double> a, std::span<const double> b) {
    a_.assign(a.begin(), a.end());
    b_.assign(b.begin(), b.end());
  }
  std::vector<double> a_, b_;
};

// Before anything on the line is evaluated.
class SeenAlong : public KnownOnLines {
 public:
  using KnownOnLines::KnownOnLines;
  bool looks_along() const override { return true; }
  void look_along(std::span<const double> a, std::span<const double> b) override { set_line(a, b); }
  double value_and_gradient_on_line(double t, std::span<const double> w, std::span<double> gradient) override {
    for (std::size_t j = 0; j < w.size(); ++j) EXPECT_NEAR(w[j], a_[j] + t * (b_[j] - a_[j]), 1e-12);
    return value_and_gradient(w, gradient);
  }
  void curvature_product(std::span<const double>, std::span<double>) override { FAIL() << "a pass for nothing"; }
};

// Once both ends are evaluated.
class KnownBetween : public KnownOnLines {
 public:
  using KnownOnLines::KnownOnLines;
  bool begin_line(std::span<const double> a, std::span<const double> b) override {
    set_line(a, b);
    return true;
  }
  const std::vector<double>& begins() const { return a_; }
  const std::vector<double>& other_end() const { return b_; }
};

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
  EXPECT_EQ(f.evaluations, result.evaluations);
}

// A first trial too short or too long, then scalars alone, and one evaluation at the step taken.
TEST(LineSearch, OfALineKnownBetweenItsEndsCostsTwoEvaluations) {
  for (const double first : {1e-3, 40.0}) {
    KnownBetween f({1, 9}, {2, -1});  // at 0: g = (−2, 9), φ(α) least at gᵀg/gᵀHg = 85/733
    LineSearch search(f, {});
    Point from{{0, 0}, {0, 0}};
    evaluate(f, from);
    const std::vector<double> direction = {2, -9};
    ASSERT_EQ(search.search(from, direction, -85, first), LineSearch::End::found) << first;
    EXPECT_EQ(search.evaluations(), 2);
    EXPECT_EQ(f.evaluations, 3);
    EXPECT_EQ(f.begins(), from.w);
    EXPECT_EQ(f.other_end(), (std::vector<double>{2 * first, -9 * first}));
    const Point& found = search.point();
    EXPECT_NEAR(found.w[0] / 2 * 733 / 85, 1, 0.1);  // |φ'| ≤ 0.1 |φ'(0)|
    EXPECT_EQ(found.gradient[0], found.w[0] - 2);
    EXPECT_EQ(found.gradient[1], 9 * (found.w[1] + 1));
  }
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

// The problem of a single line: φ and its slope, from 0.
class Line : public Quadratic {
 public:
  Line(std::function<double(double)> value, std::function<double(double)> slope)
      : Quadratic({1}, {0}), value_(std::move(value)), slope_(std::move(slope)) {}
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    gradient[0] = slope_(w[0]);
    return value_(w[0]);
  }

 private:
  std::function<double(double)> value_, slope_;
};

// The first test function of J. J. Moré, D. J. Thuente, ACM TOMS 20 (1994), from first steps far too short and too
// long.
TEST(LineSearch, EndsMeetTheWolfeConditions) {
  const double beta = 2;
  const auto value = [=](double a) { return -a / (a * a + beta); };
  const auto slope = [=](double a) { return (a * a - beta) / ((a * a + beta) * (a * a + beta)); };
  for (const double curvature : {1e-3, 0.1, 0.9}) {
    for (const double first : {1e-3, 0.1, 10.0, 1e3}) {
      Line line(value, slope);
      LineSearch search(line, {.curvature = curvature});
      Point from{{0}, {0}};
      evaluate(line, from);
      const std::vector<double> direction = {1};
      ASSERT_EQ(search.search(from, direction, slope(0), first), LineSearch::End::found) << first;
      const double a = search.point().w[0];
      EXPECT_LE(value(a), value(0) + 1e-4 * a * slope(0));
      EXPECT_LE(std::abs(slope(a)), curvature * std::abs(slope(0)));
      EXPECT_LE(search.evaluations(), 15);
    }
  }
}

// Near the minimum of 1 + x²/2 the values are all 1, or one rounding more wherever they are not those of the start:
// only the slope can tell where it is.
TEST(LineSearch, ValuesEqualToRoundingLeaveItToTheSlope) {
  for (const double more : {0.0, std::numeric_limits<double>::epsilon()}) {
    Line line([=](double x) { return 1 + x * x / 2 + (x == 1e-9 ? 0 : more); }, [](double x) { return x; });
    LineSearch search(line, {.curvature = 0.01});
    Point from{{1e-9}, {0}};
    evaluate(line, from);
    const std::vector<double> direction = {-1e-9};
    ASSERT_EQ(search.search(from, direction, -1e-18, 1.7), LineSearch::End::found);
    EXPECT_LE(std::abs(search.point().w[0]), 1e-11);
  }
}

// Of a function with many valleys it ends at the lowest of the trials that meet the first condition.
TEST(LineSearch, NoTrialThatWillDoIsLower) {
  for (double first = 0.05; first < 20; first *= 1.3) {
    std::vector<std::pair<double, double>> seen;
    const auto value = [&](double a) {
      seen.emplace_back(a, 0.1 * (a - 4) * (a - 4) + std::sin(5 * a) / 3);
      return seen.back().second;
    };
    Line line(value, [](double a) { return 0.2 * (a - 4) + 5 * std::cos(5 * a) / 3; });
    LineSearch search(line, {.curvature = 0.05});
    Point from{{0.5}, {0}};
    evaluate(line, from);
    const std::vector<double> direction = {1};
    ASSERT_LT(from.gradient[0], 0);
    ASSERT_EQ(search.search(from, direction, from.gradient[0], first), LineSearch::End::found) << first;
    for (const auto& [a, trial] : seen)
      if (trial <= from.value + 1e-4 * (a - 0.5) * from.gradient[0]) {
        EXPECT_LE(search.point().value, trial) << first;
      }
  }
}

// Only rising where the slopes say that it falls is; being out of trials, or at the floor of rounding, is not.
TEST(LineSearch, WhatContradictsIsARiseAgainstTheSlopes) {
  double curvature = 0, slope = -1;
  Line line([&](double x) { return 1 + x + curvature * x * x; }, [&](double) { return slope; });
  LineSearch search(line, {.max_trials = 3});
  Point from{{0}, {-1}, 1, 1};
  const std::vector<double> direction = {1};
  ASSERT_EQ(search.search(from, direction, -1, 1), LineSearch::End::none);
  EXPECT_TRUE(search.contradicted());
  // 1 + x², from a point where only rounding says that it falls, with a step far too long.
  Line convex([](double x) { return 1 + x * x; }, [](double x) { return 2 * x - 1e-20; });
  LineSearch other(convex, {.max_trials = 3});
  from.gradient = {-1e-20};
  from.square = 1e-40;
  ASSERT_EQ(other.search(from, direction, -1e-20, 1e6), LineSearch::End::none);
  EXPECT_FALSE(other.contradicted());
  // What an earlier search saw is not of this one.
  Line either([&](double x) { return curvature == 0 ? 1.0 : 1 + curvature * x; }, [&](double) { return slope; });
  LineSearch both(either, {.max_trials = 3});
  curvature = 1;
  from.gradient = {-1};
  from.square = 1;
  ASSERT_EQ(both.search(from, direction, -1, 1), LineSearch::End::none);
  EXPECT_TRUE(both.contradicted());
  curvature = 0;
  from.gradient = {slope = -1e-20};
  from.square = 1e-40;
  ASSERT_EQ(both.search(from, direction, slope, 1), LineSearch::End::none);
  EXPECT_FALSE(both.contradicted());
}

// 1 − x, and a wall at 10: two slopes that all but agree make a step that no search of three trials comes back from.
TEST(Lbfgs, ForgetsPairsThatLeadNowhere) {
  const auto value = [](double x) { return 1 - x + 1e-9 * x * x / 2 + (x > 10 ? 50 * (x - 10) * (x - 10) : 0); };
  const auto slope = [](double x) { return -1 + 1e-9 * x + (x > 10 ? 100 * (x - 10) : 0); };
  Line line(value, slope);
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
  Line line([](double x) { return (x - 3) * (x - 3); }, [](double x) { return x > 3.5 ? kNone : 2 * (x - 3); });
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
  Line wrong([](double x) { return x; }, [](double) { return -1.0; });
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
