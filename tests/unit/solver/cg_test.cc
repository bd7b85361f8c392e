#include "solver/cg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quadratic.h"

namespace muster {
namespace {

double largest_gap(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t j = 0; j < a.size(); ++j) largest = std::max(largest, std::abs(a[j] - b[j]));
  return largest;
}

// α = rᵀr / rᵀAr, and the second direction r' + (r'ᵀr'/rᵀr) d, which in two dimensions leads to the minimum.
TEST(Cg, TwoStepsByHand) {
  Quadratic f({4, 2}, {1, -1});  // at (0, 0): r = (4, −2), rᵀr = 20, rᵀAr = 72
  minimise_cg(f, {0, 0}, {});
  ASSERT_GE(f.path.size(), 3u);
  EXPECT_NEAR(f.path[1][0], 20.0 / 72 * 4, 1e-15);
  EXPECT_NEAR(f.path[1][1], 20.0 / 72 * -2, 1e-15);
  EXPECT_LT(largest_gap(f.path[2], {1, -1}), 1e-14);
}

// In exact arithmetic done after as many steps as there are distinct eigenvalues.
TEST(Cg, FiveDistinctEigenvaluesTakeFiveSteps) {
  const double eigenvalues[] = {1, 3, 10, 30, 100};
  std::vector<double> h, minimum;
  for (int j = 0; j < 60; ++j) {
    h.push_back(eigenvalues[j % 5]);
    minimum.push_back(std::sin(1.0 + j));
  }
  Quadratic f(h, minimum);
  minimise_cg(f, std::vector<double>(60, 0.0), {});
  ASSERT_GE(f.path.size(), 6u);
  EXPECT_GT(largest_gap(f.path[4], minimum), 1e-3);
  EXPECT_LT(largest_gap(f.path[5], minimum), 1e-10) << "rounding";
}

// f − f* shrinks by ((√κ − 1)/(√κ + 1))² a step at least, up to the factor 4 of the classical bound.
TEST(Cg, ShrinksAsTheConditionNumberSays) {
  constexpr double kCondition = 100;
  std::vector<double> h, minimum;
  for (int j = 0; j < 400; ++j) {
    h.push_back(1 + (kCondition - 1) * j / 399.0);
    minimum.push_back(1 / std::sqrt(h.back()));
  }
  Quadratic f(h, minimum);
  CgOptions options;
  options.max_rounds = 41;
  minimise_cg(f, std::vector<double>(400, 0.0), options);
  const double rate = (std::sqrt(kCondition) - 1) / (std::sqrt(kCondition) + 1);
  for (std::size_t k = 0; k < f.values.size(); ++k)
    EXPECT_LE(f.values[k], 4 * std::pow(rate, 2.0 * static_cast<double>(k)) * f.values[0] + 1e-14) << k;
}

// The iterates stay in the span of the gradients: what A does not see stays where it was.
TEST(Cg, OfASingularMatrixTheNearestMinimiser) {
  Quadratic f({5, 0, 2}, {1, 7, -1});
  const SolverResult result = minimise_cg(f, {0, 0, 0}, {});
  EXPECT_LT(largest_gap(result.w, {1, 0, -1}), 1e-14);
  EXPECT_EQ(result.reason, StopReason::converged);
}

TEST(Cg, SaysWhyItEnds) {
  Quadratic f({1, 9}, {1, 1});
  CgOptions options;
  options.max_rounds = 2;
  EXPECT_EQ(minimise_cg(f, {0, 0}, options).reason, StopReason::max_rounds);
  f.finite_within = 0.5;
  EXPECT_EQ(minimise_cg(f, {1, 0}, {}).reason, StopReason::diverged);
}

}  // namespace
}  // namespace muster
