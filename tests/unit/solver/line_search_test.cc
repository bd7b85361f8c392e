// Steps along lines: the Wolfe conditions, what rounding hides, and what is known of a line without evaluating it.
#include "solver/line_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "lines.h"

namespace muster {
namespace {

// The first test function of J. J. Moré, D. J. Thuente, ACM TOMS 20 (1994), from first steps far too short and too
// long.
TEST(LineSearch, EndsMeetTheWolfeConditions) {
  const double beta = 2;
  const auto value = [=](double a) { return -a / (a * a + beta); };
  const auto slope = [=](double a) { return (a * a - beta) / ((a * a + beta) * (a * a + beta)); };
  for (const double curvature : {1e-3, 0.1, 0.9}) {
    for (const double first : {1e-3, 0.1, 10.0, 1e3}) {
      SingleLine line(value, slope);
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
    SingleLine line([=](double x) { return 1 + x * x / 2 + (x == 1e-9 ? 0 : more); }, [](double x) { return x; });
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
    SingleLine line(value, [](double a) { return 0.2 * (a - 4) + 5 * std::cos(5 * a) / 3; });
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
  SingleLine line([&](double x) { return 1 + x + curvature * x * x; }, [&](double) { return slope; });
  LineSearch search(line, {.max_trials = 3});
  Point from{{0}, {-1}, 1, 1};
  const std::vector<double> direction = {1};
  ASSERT_EQ(search.search(from, direction, -1, 1), LineSearch::End::none);
  EXPECT_TRUE(search.contradicted());
  // 1 + x², from a point where only rounding says that it falls, with a step far too long.
  SingleLine convex([](double x) { return 1 + x * x; }, [](double x) { return 2 * x - 1e-20; });
  LineSearch other(convex, {.max_trials = 3});
  from.gradient = {-1e-20};
  from.square = 1e-40;
  ASSERT_EQ(other.search(from, direction, -1e-20, 1e6), LineSearch::End::none);
  EXPECT_FALSE(other.contradicted());
  // What an earlier search saw is not of this one.
  SingleLine either([&](double x) { return curvature == 0 ? 1.0 : 1 + curvature * x; }, [&](double) { return slope; });
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

}  // namespace
}  // namespace muster
