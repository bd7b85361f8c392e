#include "solver/newton_cg.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quadratic.h"

namespace muster {
namespace {

// f(w) = Σ log cosh(c_j (w_j − m_j)) + ½ p |w − m|²: convex, its Hessian changes by orders of magnitude.
class LogCosh final : public Problem {
 public:
  std::size_t dimension() const override { return 3; }
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    double value = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      const double x = kC[j] * (w[j] - kM[j]), size = std::abs(x);
      value += size + std::log1p(std::exp(-2 * size)) - std::log(2.0) + 0.5 * kP * (w[j] - kM[j]) * (w[j] - kM[j]);
      gradient[j] = kC[j] * std::tanh(x) + kP * (w[j] - kM[j]);
    }
    return value;
  }
  void curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < 3; ++j) product[j] = (kC[j] * kC[j] + kP) * v[j];
  }
  void hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < 3; ++j) {
      const double t = std::tanh(kC[j] * (w[j] - kM[j]));
      product[j] = (kC[j] * kC[j] * (1 - t * t) + kP) * v[j];
    }
    ++products;
  }
  Verdict after_round(std::int64_t, std::span<const double>, double, std::span<const double> gradient) override {
    double square = 0;
    for (const double g : gradient) square += g * g;
    norms.push_back(std::sqrt(square));
    return {norms.back() < 1e-12, StopReason::converged, "the gradient is small"};
  }

  static constexpr double kC[] = {1, 3, 0.3}, kM[] = {2, -1, 4}, kP = 1e-3;
  std::vector<double> norms;
  int products = 0;
};

// η = ½ at the start: the equations of (4, 2) are solved to half of |g| by one product, α = gᵀg/gᵀHg.
TEST(NewtonCg, FirstStepByHand) {
  Quadratic f({4, 2}, {1, -1});
  f.stop_at = 2;
  const SolverResult result = minimise_newton_cg(f, {0, 0}, {});
  EXPECT_NEAR(result.w[0], 80.0 / 72, 1e-15);
  EXPECT_NEAR(result.w[1], -40.0 / 72, 1e-15);
  EXPECT_EQ(f.products, 1);
}

TEST(NewtonCg, ReachesTheMinimumAndFasterAndFaster) {
  LogCosh f;
  const SolverResult result = minimise_newton_cg(f, {-3, 5, -6}, {});
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(result.w[j], LogCosh::kM[j], 1e-9);
  EXPECT_EQ(result.reason, StopReason::converged);
  ASSERT_GE(f.norms.size(), 4u);
  EXPECT_LT(f.norms.size(), 25u);
  // Superlinear: the last steps shrink the gradient by more than the ones before.
  const std::size_t n = f.norms.size();
  EXPECT_LT(f.norms[n - 1] / f.norms[n - 2], 0.1 * f.norms[1] / f.norms[0]);
}

TEST(NewtonCg, OfASingularHessianTheNearestMinimiser) {
  Quadratic f({5, 0, 2}, {1, 7, -1});
  f.stop_at = 40;
  const SolverResult result = minimise_newton_cg(f, {0, 0, 0}, {});
  EXPECT_NEAR(result.w[0], 1, 1e-8);
  EXPECT_EQ(result.w[1], 0);
  EXPECT_NEAR(result.w[2], -1, 1e-8);
}

}  // namespace
}  // namespace muster
