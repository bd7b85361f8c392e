#include "solver/nesterov.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quadratic.h"

namespace muster {
namespace {

// F = a quadratic and q|w|₁, as MapReduce presents it: F's value, the quadratic's gradient.
class Lasso : public Quadratic {
 public:
  Lasso(std::vector<double> h, std::vector<double> minimum, double q)
      : Quadratic(std::move(h), std::move(minimum)), q_(q) {}
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    double value = Quadratic::value_and_gradient(w, gradient);
    for (double x : w) value += q_ * std::abs(x);
    return value;
  }

 private:
  double q_;
};

TEST(Nesterov, TwoStepsByHand) {
  // h = (4, 1), minimum (1, 1), q = 1, L = 4. At 0: g = (−4, −1), u = (1, 1/4), threshold 1/4: x¹ = (3/4, 0); t stays 1
  // for the first step, so y¹ = x¹. There g = (−1, −1), u = (1, 1/4), x² = (3/4, 0) = y².
  Lasso f({4, 1}, {1, 1}, 1);
  f.stop_at = 3;
  const SolverResult result = minimise_nesterov(f, {0, 0}, {.l1 = {1, 1}, .lipschitz = 4});
  EXPECT_EQ(f.path[1], (std::vector<double>{0.75, 0}));
  EXPECT_EQ(result.w, (std::vector<double>{0.75, 0}));
}

TEST(Nesterov, SolvesTheLassoWithExactZeros) {
  // Separable: w_j = sign(m_j) max(|m_j| − q/h_j, 0).
  Lasso f({100, 1, 10, 2}, {3, 0.4, -2, -0.1}, 0.5);
  f.stop_at = 600;
  const SolverResult result = minimise_nesterov(f, {1, 1, 1, 1}, {.l1 = {0.5, 0.5, 0.5, 0.5}});
  EXPECT_NEAR(result.w[0], 3 - 0.005, 1e-12);
  EXPECT_EQ(result.w[1], 0);
  EXPECT_NEAR(result.w[2], -2 + 0.05, 1e-12);
  EXPECT_EQ(result.w[3], 0);
}

TEST(Nesterov, ContractsAsTheRootOfTheConditionNumberAllows) {
  // Condition number 100: gradient descent's factor is 0.99 a round, the accelerated one about 1 − 1/√100 = 0.9.
  Quadratic f({100, 50, 7, 1}, {0, 0, 0, 0});
  f.stop_at = 301;
  minimise_nesterov(f, {1, 1, 1, 1}, {.lipschitz = 100});
  const auto distance = [&](std::size_t t) {
    double square = 0;
    for (double w : f.path[t]) square += w * w;
    return std::sqrt(square);
  };
  const double factor = std::pow(distance(300) / distance(0), 1.0 / 300);
  EXPECT_LT(factor, 0.93);
  EXPECT_GT(factor, 0.8);
}

TEST(Nesterov, GuardRepairsAnLThatIsTooSmall) {
  Quadratic f({100, 1}, {3, 4});
  f.reported_curvature = 1e-3;
  f.stop_at = 2000;
  const SolverResult result = minimise_nesterov(f, {0, 0}, {});
  EXPECT_NEAR(result.w[0], 3, 1e-9);
  EXPECT_NEAR(result.w[1], 4, 1e-9);
}

TEST(Nesterov, StopsAtTheLimitOnRounds) {
  Quadratic f({1000, 1}, {1, 1});
  const SolverResult result = minimise_nesterov(f, {0, 0}, {.max_rounds = 7});
  EXPECT_EQ(result.reason, StopReason::max_rounds);
  EXPECT_EQ(result.rounds, 7);
}

}  // namespace
}  // namespace muster
