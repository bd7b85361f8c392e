#include "muster/train_objective.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

namespace muster {
namespace {

// Rows are points t_i:  loss_i(w) = ½ Σ_j c_j (w_j − t_ij)².  With l2 = p and l1 = q the minimiser is known:
//     w_j = soft(c_j mean_j, q_j) / (c_j + p_j)
constexpr double kCurvature[] = {1, 4, 0.5};
const std::vector<std::vector<double>> kPoints = {{1, 2, 3}, {5, -2, 0.5}, {-3, 1, 1}, {2, 2, 2}, {0, 4, -4}};
constexpr double kMeans[] = {1, 1.4, 0.5};

class Distances : public Objective {
 public:
  // Fails at its failing-th gradient.
  Distances(int worker, int workers, bool bounded, int failing = -1) : bounded_(bounded), failing_(failing) {
    for (auto i = static_cast<std::size_t>(worker); i < kPoints.size(); i += static_cast<std::size_t>(workers))
      points_.push_back(kPoints[i]);
  }
  std::size_t dimension() const override { return 3; }
  std::size_t rows() const override { return points_.size(); }
  double weight() const override { return static_cast<double>(points_.size()); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    if (failing_-- == 0) throw std::runtime_error("the disk is gone");
    value = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      gradient[j] = 0;
      for (const std::vector<double>& point : points_) {
        value += 0.5 * kCurvature[j] * (w[j] - point[j]) * (w[j] - point[j]);
        gradient[j] += kCurvature[j] * (w[j] - point[j]);
      }
    }
    return {.bytes = 24 * weight(), .flops = 12 * weight()};
  }
  bool bounds_curvature() const override { return bounded_; }
  Work curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < 3; ++j) product[j] = kCurvature[j] * weight() * v[j];
    return {};
  }

 private:
  std::vector<std::vector<double>> points_;
  bool bounded_;
  int failing_;
};

ObjectiveOptions in_mode(Mode mode, int workers) {
  ObjectiveOptions options;
  options.run.mode = mode;
  options.run.workers = workers;
  options.stop.tolerance = 1e-9;
  return options;
}

void expect_minimiser(const ObjectiveResult& result, double l2 = 0, double l1 = 0) {
  for (std::size_t j = 0; j < 3; ++j) {
    const double pull = kCurvature[j] * kMeans[j];
    const double expected = std::copysign(std::max(std::abs(pull) - l1, 0.0), pull) / (kCurvature[j] + l2);
    EXPECT_NEAR(result.w[j], expected, 1e-7) << "parameter " << j;
  }
  EXPECT_EQ(result.report.stop_reason, StopReason::converged) << result.report.stop_detail;
  EXPECT_TRUE(result.report.certificate.same_model_on_all_ranks);
}

class EveryMode : public testing::TestWithParam<Mode> {};

TEST_P(EveryMode, ReachesTheMinimiserWithAndWithoutABoundOnTheCurvature) {
  for (const bool bounded : {true, false}) {
    const auto make = [&](int worker, int workers) { return std::make_unique<Distances>(worker, workers, bounded); };
    const ObjectiveResult result = train_objective(make, {0, 0, 0}, in_mode(GetParam(), 3));
    expect_minimiser(result);
    EXPECT_EQ(result.report.certificate.rows_read, 5);
    EXPECT_EQ(result.report.workers[0].rows, 2);
  }
}

TEST_P(EveryMode, TakesPenalties) {
  const auto make = [](int worker, int workers) { return std::make_unique<Distances>(worker, workers, true); };
  ObjectiveOptions options = in_mode(GetParam(), 2);
  options.l2.assign(3, 0.5);
  options.l1.assign(3, 0.4);
  const ObjectiveResult result = train_objective(make, {0, 0, 0}, options);
  expect_minimiser(result, 0.5, 0.4);
  EXPECT_EQ(result.w[2], 0) << "0.5 × 0.5 is less than l1";
}

TEST_P(EveryMode, RunsOnASimulatedCluster) {
  const auto make = [](int worker, int workers) { return std::make_unique<Distances>(worker, workers, true); };
  ObjectiveOptions options = in_mode(GetParam(), 4);
  options.run.transport = TransportChoice::sim;
  expect_minimiser(train_objective(make, {1, 1, 1}, options));
}

INSTANTIATE_TEST_SUITE_P(TrainObjective, EveryMode,
                         testing::Values(Mode::mapreduce, Mode::parameter_server, Mode::decentralized));

// Σ_i log cosh(w_0 − t_i) + ½ (w_1 − w_0)² + ½ w_1⁴ : not quadratic; its Hessian, where it is given, is counted.
class Bowls : public Objective {
 public:
  Bowls(int worker, int workers, std::atomic<int>* products) : products_(products) {
    for (int i = worker; i < 7; i += workers) points_.push_back(0.5 * i - 1);
  }
  std::size_t dimension() const override { return 2; }
  std::size_t rows() const override { return points_.size(); }
  double weight() const override { return static_cast<double>(points_.size()); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double>) override {
    value = weight() * (0.5 * (w[1] - w[0]) * (w[1] - w[0]) + 0.5 * std::pow(w[1], 4));
    gradient[0] = weight() * (w[0] - w[1]);
    gradient[1] = weight() * (w[1] - w[0] + 2 * std::pow(w[1], 3));
    for (const double t : points_) {
      value += std::log(std::cosh(w[0] - t));
      gradient[0] += std::tanh(w[0] - t);
    }
    return {};
  }
  bool has_hessian() const override { return products_ != nullptr; }
  Work hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override {
    ++*products_;
    double curvature = weight();
    for (const double t : points_) curvature += 1 - std::pow(std::tanh(w[0] - t), 2);
    product[0] = curvature * v[0] - weight() * v[1];
    product[1] = weight() * (-v[0] + (1 + 6 * w[1] * w[1]) * v[1]);
    return {};
  }

 private:
  std::vector<double> points_;
  std::atomic<int>* products_;  // null: there is no Hessian
};

// Without a Hessian, differences of gradients stand in for it: the same minimiser, where the gradient is 0 by hand.
TEST(TrainObjective, NewtonsMethodTakesAHessianOrDifferencesOfGradients) {
  std::atomic<int> products = 0;
  std::vector<double> found[2];
  for (const bool given : {true, false}) {
    const auto make = [&](int worker, int workers) {
      return std::make_unique<Bowls>(worker, workers, given ? &products : nullptr);
    };
    ObjectiveOptions options = in_mode(Mode::mapreduce, 3);
    options.run.solver = SolverChoice::newton_cg;
    options.stop.tolerance = 1e-10;
    const ObjectiveResult result = train_objective(make, {3, -2}, options);
    EXPECT_EQ(result.report.stop_reason, StopReason::converged) << result.report.stop_detail;
    EXPECT_LT(result.report.rounds_done, 20);
    found[given] = result.w;
    Bowls all(0, 1, nullptr);
    double value = 0;
    std::vector<double> gradient(2);
    all.value_and_gradient(result.w, value, gradient, {});
    EXPECT_NEAR(gradient[0], 0, 1e-7);
    EXPECT_NEAR(gradient[1], 0, 1e-7);
  }
  EXPECT_GT(products, 0);
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(found[0][j], found[1][j], 1e-8);
}

TEST(TrainObjective, TheShareOfALostWorkerIsMadeAgain) {
  std::atomic<int> made = 0;
  const auto make = [&](int worker, int workers) {
    const bool first = made.fetch_add(1) < workers;
    return std::make_unique<Distances>(worker, workers, true, worker == 1 && first ? 12 : -1);
  };
  ObjectiveOptions options = in_mode(Mode::parameter_server, 3);
  const ObjectiveResult result = train_objective(make, {0, 0, 0}, options);
  expect_minimiser(result);
  EXPECT_EQ(made, 4);
  ASSERT_EQ(result.report.lost.size(), 1u);
  EXPECT_EQ(result.report.lost[0].rank, 1);
}

TEST(TrainObjective, EveryPartOfACutNetworkHasItsOwnMinimiser) {
  const auto make = [](int worker, int workers) {
    return std::make_unique<Distances>(worker, workers, true, worker == 1 ? 12 : -1);
  };
  ObjectiveOptions options = in_mode(Mode::decentralized, 4);
  options.run.network.topology = "line";
  options.run.network.allow_parts = true;
  const ObjectiveResult result = train_objective(make, {0, 0, 0}, options);
  ASSERT_EQ(result.other_parts.size(), 1u);
  ASSERT_EQ(result.report.parts.size(), 2u);
  EXPECT_EQ(result.report.parts[0].nodes, std::vector<int>{0});  // of as many rows, that of the lowest rank
  EXPECT_EQ(result.report.parts[1].nodes, (std::vector<int>{2, 3}));
  const double first[] = {0.5, 3, -0.5}, second[] = {-0.5, 1.5, 1.5};  // means of the points 0 and 4, 2 and 3
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(result.w[j], first[j], 1e-7);
    EXPECT_NEAR(result.other_parts[0].w[j], second[j], 1e-7);
  }
  ASSERT_EQ(result.report.lost.size(), 1u);
  EXPECT_NE(result.report.lost[0].sentence.find("the disk is gone"), std::string::npos);
  for (const std::size_t r : {0, 2, 3}) EXPECT_GT(result.report.workers[r].updates, 0) << r;
  EXPECT_EQ(result.report.workers[1].role, "lost");
}

TEST(TrainObjective, RefusesWhatDoesNotFit) {
  const auto make = [](int worker, int workers) { return std::make_unique<Distances>(worker, workers, true); };
  EXPECT_THROW(train_objective(make, {0, 0}, in_mode(Mode::mapreduce, 2)), InputError);
  ObjectiveOptions options = in_mode(Mode::parameter_server, 2);
  options.run.solver = SolverChoice::ftrl;
  EXPECT_THROW(train_objective(make, {0, 0, 0}, options), InputError) << "it is no RowObjective";
  options = in_mode(Mode::mapreduce, 2);
  options.run.solver = SolverChoice::exact;
  EXPECT_THROW(train_objective(make, {0, 0, 0}, options), InputError);
  options = in_mode(Mode::mapreduce, 2);
  options.l2 = {1};
  EXPECT_THROW(train_objective(make, {0, 0, 0}, options), InputError);
}

}  // namespace
}  // namespace muster
