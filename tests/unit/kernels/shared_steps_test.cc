#include "kernels/shared_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "base/executor.h"

namespace muster {
namespace {

struct SparseTable {
  std::vector<std::uint64_t> row_begin{0};
  std::vector<std::uint32_t> columns;
  std::vector<double> values;
  std::size_t cols = 0;

  SparseRows<double> rows() const {
    return {row_begin.data(), columns.data(), values.data(), row_begin.size() - 1, cols};
  }
};

// Rows of `entries` random columns each.
SparseTable random_table(std::size_t rows, std::size_t cols, double density, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  SparseTable table;
  table.cols = cols;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      if (uniform(random) >= density) continue;
      table.columns.push_back(static_cast<std::uint32_t>(j));
      table.values.push_back(normal(random));
    }
    table.row_begin.push_back(table.columns.size());
  }
  return table;
}

std::vector<double> values_of(const std::vector<SharedCoefficient>& columns) {
  std::vector<double> u;
  for (const SharedCoefficient& column : columns) u.push_back(column.u.load());
  return u;
}

void set(SharedCoefficient& column, double u, double snapshot, double step, double pull, double shrink,
         double threshold) {
  column.u = u;
  column.snapshot = snapshot;
  column.step = step;
  column.pull = pull;
  column.shrink = shrink;
  column.threshold = threshold;
}

// One row with x_0 = 2, x_2 = −1, offset 0.5, target 1; intercept 0.25, at the snapshot 0.
//   m = 2·1 − 1·3 + 0.25 + 0.5 = −0.25,  m̃ = 2·0.5 − 1·2 + 0.5 = −0.5,  ω = 3: force = 3·(−0.25 + 0.5) = 0.75
//   u_0: 1 − (0.1·0.75·2 + 0.2 + 0.5·(1 − 0.5)) = 1 − 0.6 = 0.4
//   u_1: not in the row
//   u_2: 3 − (0.2·0.75·(−1) + 0.05 + 0) = 3.1, by the threshold 3.0
//   intercept: 0.25 − (0.4·0.75 + 0.01) = −0.06
TEST(SharedSteps, AStepByHand) {
  SparseTable table;
  table.row_begin = {0, 2};
  table.columns = {0, 2};
  table.values = {2, -1};
  table.cols = 3;
  std::vector<SharedCoefficient> columns(4);
  set(columns[0], 1, 0.5, 0.1, 0.2, 0.5, 0);
  set(columns[1], 7, 7, 1, 1, 1, 1);
  set(columns[2], 3, 2, 0.2, 0.05, 0, 0.1);
  set(columns[3], 0.25, 0, 0.4, 0.01, 0, 0);
  const double target = 1, offset = 0.5, weight = 3;
  const std::vector<std::uint32_t> order{0};
  const SharedModel model{RowFunction::squared, 1, std::span(columns).first(3), std::span(columns).last(1)};
  take_shared_steps(model, table.rows(), {&target, nullptr, &offset}, &weight, order);
  EXPECT_NEAR(columns[0].u, 0.4, 1e-15);
  EXPECT_EQ(columns[1].u, 7);
  EXPECT_NEAR(columns[2].u, 3.0, 1e-15);
  EXPECT_NEAR(columns[3].u, -0.06, 1e-15);
}

// The logistic residual against the formula, far out too, and a soft threshold that reaches across 0.
TEST(SharedSteps, LogisticForceAndExactZeros) {
  for (const double margin : {-800.0, -3.0, 0.0, 0.5, 40.0, 800.0}) {
    SparseTable table;
    table.row_begin = {0, 1};
    table.columns = {0};
    table.values = {1};
    table.cols = 1;
    std::vector<SharedCoefficient> columns(1);
    set(columns[0], margin, 0, 1, 0, 0, 0);
    const double target = 1, weight = 1;
    const std::vector<std::uint32_t> order{0};
    const SharedModel model{RowFunction::logistic, 1, columns};
    take_shared_steps(model, table.rows(), {&target, nullptr, nullptr}, &weight, order);
    const double at_margin = margin < 0 ? std::exp(margin) / (1 + std::exp(margin)) : 1 / (1 + std::exp(-margin));
    EXPECT_NEAR(columns[0].u - margin, -(at_margin - 0.5), 1e-13) << margin;
    set(columns[0], 0.3, 0.3, 1, 0, 0, 0.4);
    take_shared_steps(model, table.rows(), {&target, nullptr, nullptr}, &weight, order);
    EXPECT_EQ(columns[0].u, 0);
  }
}

// Three classes, one column, x = 2, centre 0.5: margins 1.5 u + a. At the snapshot (0, 0, 0), p = 1/3 each; at u = (0,
// 0, ln 2 / 1.5) and a = (0, ln 5, 0), p = (1, 5, 2)/8. ω = 3: force = 3 (p − 1/3) = (−5, 7, −2)/8, whatever the class.
TEST(SharedSteps, AStepOfThreeClassesByHand) {
  const double value = 2, target = 1, weight = 3;
  std::vector<SharedCoefficient> columns(6);
  const double u[] = {0, 0, std::log(2.0) / 1.5, 0, std::log(5.0), 0};
  const double expected_force[] = {-0.625, 0.875, -0.25};
  for (std::size_t i = 0; i < 6; ++i) {
    set(columns[i], u[i], 0, 0.1, 0.01, 0.25, 0);
    columns[i].centre = i < 3 ? 0.5 : 0;
  }
  const std::vector<std::uint32_t> order{0};
  const SharedModel model{RowFunction::squared, 3, std::span(columns).first(3), std::span(columns).last(3)};
  take_shared_steps(model, DenseRows<double>{&value, 1, 1}, {&target, nullptr, nullptr}, &weight, order);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(columns[k].u, u[k] - (0.1 * expected_force[k] * 1.5 + 0.01 + 0.25 * u[k]), 1e-15) << k;
    EXPECT_NEAR(columns[3 + k].u, u[3 + k] - (0.1 * expected_force[k] + 0.01 + 0.25 * u[3 + k]), 1e-15) << k;
  }
}

// At the snapshot, where F's gradient (and so every pull) is 0, nothing moves, not by a bit.
TEST(SharedSteps, TheMinimiserIsAtRest) {
  const SparseTable table = random_table(200, 30, 0.2, 3);
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  std::vector<SharedCoefficient> columns(31);
  std::vector<double> targets(200), weights(200, 1.5);
  for (SharedCoefficient& column : columns) {
    const double u = normal(random);
    set(column, u, u, 0.3, 0, 0.2, 0);
  }
  for (double& y : targets) y = normal(random);
  std::vector<std::uint32_t> order(200);
  std::iota(order.begin(), order.end(), 0u);
  const std::vector<double> before = values_of(columns);
  const SharedModel model{RowFunction::squared, 1, std::span(columns).first(30), std::span(columns).last(1)};
  take_shared_steps(model, table.rows(), {targets.data(), nullptr, nullptr}, weights.data(), order);
  EXPECT_EQ(values_of(columns), before);
}

// The same rows, dense and centred by 0, take the same steps, but for the order of a margin's sum.
TEST(SharedSteps, DenseAndSparseRowsAreOneTrajectory) {
  const SparseTable table = random_table(100, 12, 1, 5);
  std::vector<double> targets(100, 0.5), weights(100, 0.7);
  std::vector<std::uint32_t> order(100);
  std::iota(order.begin(), order.end(), 0u);
  std::vector<double> first;
  for (const bool dense : {false, true}) {
    std::vector<SharedCoefficient> columns(13);
    for (SharedCoefficient& column : columns) set(column, 0.1, 0.2, 0.02, 0.001, 0.01, 0.0001);
    const SharedModel model{RowFunction::squared, 1, std::span(columns).first(12), std::span(columns).last(1)};
    const RowData data{targets.data(), nullptr, nullptr};
    if (dense) {
      take_shared_steps(model, DenseRows<double>{table.values.data(), 100, 12}, data, weights.data(), order);
      EXPECT_EQ(values_of(columns), first);
    } else {
      take_shared_steps(model, table.rows(), data, weights.data(), order);
      first = values_of(columns);
    }
  }
}

// Four threads take whole numbers off the same columns, and off the intercept, as often as they can: every one counts.
TEST(SharedSteps, NoUpdateIsLost) {
  constexpr int kThreads = 4, kTasks = 16;
  const SparseTable table = random_table(500, 20, 0.4, 6);
  std::vector<SharedCoefficient> columns(21);
  for (std::size_t j = 0; j < columns.size(); ++j) set(columns[j], 0, 0, 0, static_cast<double>(j + 1), 0, 0);
  const std::vector<double> targets(500, 0), weights(500, 1);
  std::vector<std::uint32_t> order(500);
  std::iota(order.begin(), order.end(), 0u);
  const SharedModel model{RowFunction::squared, 1, std::span(columns).first(20), std::span(columns).last(1)};
  Executor executor(kThreads);
  executor.run(kTasks, [&](std::size_t, int) {
    take_shared_steps(model, table.rows(), {targets.data(), nullptr, nullptr}, weights.data(), order);
  });
  std::vector<double> expected(21, 0);
  for (const std::uint32_t j : table.columns) expected[j] -= static_cast<double>(j + 1) * kTasks;
  expected[20] = -21.0 * 500 * kTasks;
  EXPECT_EQ(values_of(columns), expected);
}

}  // namespace
}  // namespace muster
