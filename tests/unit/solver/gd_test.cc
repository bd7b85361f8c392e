#include "solver/gd.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "quadratic.h"
#include "solver/lanczos.h"

namespace muster {
namespace {

TEST(Gd, OneStepByHand) {
  Quadratic f({4, 2}, {1, -1});  // at (0, 0): g = (−4, 2); with L = 4: w = (1, −0.5)
  f.stop_at = 2;
  const SolverResult result = minimise_gd(f, {0, 0}, {.lipschitz = 4});
  EXPECT_EQ(result.w, (std::vector<double>{1, -0.5}));
  EXPECT_EQ(result.reason, StopReason::converged);
  EXPECT_EQ(result.rounds, 2);
}

TEST(Gd, ContractsByOneMinusOneOverTheConditionNumber) {
  Quadratic f({100, 1}, {0, 0});
  f.stop_at = 200;
  minimise_gd(f, {0, 1}, {.lipschitz = 100});
  for (std::size_t t = 1; t < f.path.size(); ++t) EXPECT_NEAR(f.path[t][1] / f.path[t - 1][1], 0.99, 1e-12);
}

TEST(Gd, FindsTheStepItself) {
  Quadratic f({100, 1, 7}, {3, 4, 5});
  f.stop_at = 3000;
  const SolverResult result = minimise_gd(f, {0, 0, 0}, {});
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(result.w[j], 3 + static_cast<double>(j), 1e-6);
}

TEST(Gd, GuardRepairsAnLThatIsTooSmall) {
  Quadratic f({100, 1}, {3, 4});
  f.reported_curvature = 1e-3;
  f.stop_at = 3000;
  const SolverResult result = minimise_gd(f, {0, 0}, {});
  EXPECT_NEAR(result.w[0], 3, 1e-6);
  EXPECT_NEAR(result.w[1], 4, 1e-6);
  for (std::size_t t = 1; t < f.values.size(); ++t) EXPECT_LE(f.values[t], f.values[t - 1] * (1 + 1e-12));
}

TEST(Gd, DivergedKeepsTheLastFinitePoint) {
  Quadratic nowhere({1}, {3});
  nowhere.finite_within = -1;
  EXPECT_EQ(minimise_gd(nowhere, {0}, {}).reason, StopReason::diverged);
  Quadratic fenced({1}, {3});  // finite only near the start: the guard shortens the step
  fenced.finite_within = 1;
  const SolverResult result = minimise_gd(fenced, {0}, {.max_rounds = 500});
  EXPECT_TRUE(std::isfinite(result.w[0]));
  EXPECT_LE(std::abs(result.w[0]), 1);
}

TEST(Gd, StopsAtTheRoundingFloorAndSaysSo) {
  Quadratic f({3, 1}, {0.1, 0.7});
  f.base = 1;
  const SolverResult result = minimise_gd(f, {0, 0}, {});
  EXPECT_EQ(result.reason, StopReason::converged);
  EXPECT_NE(result.detail.find("rounding floor"), std::string::npos);
  EXPECT_LT(result.rounds, 1000);
}

TEST(Gd, StopsAtTheLimitOnRounds) {
  Quadratic f({1000, 1}, {1, 1});
  const SolverResult result = minimise_gd(f, {0, 0}, {.max_rounds = 7});
  EXPECT_EQ(result.reason, StopReason::max_rounds);
  EXPECT_EQ(result.rounds, 7);
}

TEST(Lanczos, LargestEigenvalueOfADiagonalIsNeverUnderestimated) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::size_t n = 200;
    const auto product = [&](std::span<const double> v, std::span<double> out) {
      for (std::size_t j = 0; j < n; ++j) out[j] = std::exp(0.05 * static_cast<double>(j)) * v[j];
    };
    const double truth = std::exp(0.05 * (n - 1));
    const LargestEigenvalue found = estimate_largest_eigenvalue(n, product, seed);
    EXPECT_GE(found.estimate, truth) << "seed " << seed;
    EXPECT_LE(found.estimate, 1.1 * truth) << "seed " << seed;
  }
}

TEST(Lanczos, OneDimensionAndZero) {
  const auto times = [](double factor) {
    return [factor](std::span<const double> v, std::span<double> out) { out[0] = factor * v[0]; };
  };
  EXPECT_NEAR(estimate_largest_eigenvalue(1, times(5), 0).estimate, 5, 0.3);
  EXPECT_EQ(estimate_largest_eigenvalue(1, times(0), 0).estimate, 0);
}

// The known answers of the authors' distribution (Random123, kat_vectors).
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

}  // namespace
}  // namespace muster
