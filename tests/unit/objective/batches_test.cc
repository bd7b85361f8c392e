#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;

constexpr std::size_t kRows = 53, kColumns = 11;

Scaling some_scaling() {
  Scaling scaling;
  for (std::size_t j = 0; j < kColumns; ++j) {
    scaling.centre.push_back(0.25 * static_cast<double>(j % 5) - 0.3);
    scaling.scale.push_back(j == 3 ? 0.0 : 0.5 + 0.25 * static_cast<double>(j % 4));
  }
  return scaling;
}

constexpr Loss kLosses[] = {Loss::squared, Loss::logistic, Loss::softmax};
std::size_t outputs_of(Loss loss) {
  return loss == Loss::softmax ? 3 : 1;
}

Shard some_shard(Loss loss) {
  Shard shard = dense_shard({.rows = kRows,
                             .cols = kColumns,
                             .density = 0.2,
                             .weights = true,
                             .offsets = true,
                             .classes = loss == Loss::logistic});
  for (std::size_t i = 0; i < kRows && loss == Loss::softmax; ++i) shard.targets[i] = static_cast<double>(i * i % 3);
  return shard;
}

std::vector<double> some_point(std::size_t size) {
  std::vector<double> v(size);
  for (std::size_t j = 0; j < size; ++j) v[j] = std::sin(1.0 + static_cast<double>(j));
  return v;
}

// What a worker is handed of v, and what one who holds all of v makes of its answer.
struct Caller {
  LinearObjective& objective;
  std::vector<double> v, k = objective.implicit_centre();
  double value = 0;
  std::vector<double> gradient = std::vector<double>(v.size());

  std::vector<double> at(std::span<const std::uint32_t> keys) const {
    std::vector<double> w;
    for (const std::uint32_t key : keys) w.push_back(v[key]);
    const std::size_t outputs = objective.outputs();
    for (std::size_t j = 0; j < k.size(); ++j) w[w.size() - outputs + j % outputs] -= k[j] * v[j];
    return w;
  }
  void add(std::size_t batch) {
    const std::span<const std::uint32_t> keys = objective.keys(batch);
    std::vector<double> by_key(keys.size());
    double batch_value = 0;
    objective.batch_gradient(batch, at(keys), batch_value, by_key);
    value += batch_value;
    for (std::size_t i = 0; i < keys.size(); ++i) gradient[keys[i]] += by_key[i];
    const std::size_t outputs = objective.outputs(), intercepts = keys.size() - outputs;
    for (std::size_t j = 0; j < k.size(); ++j) gradient[j] -= k[j] * by_key[intercepts + j % outputs];
  }
};

TEST(Batches, AddUpToTheWholePass) {
  for (const Loss loss : kLosses) {
    const Shard dense = some_shard(loss);
    for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense), as_sparse(dense, true)}) {
      for (const InstructionSet set : available_instruction_sets()) {
        Executor executor(1);
        LinearRows rows(shard, executor, set);
        LinearObjective objective(rows, loss, some_scaling(), true, outputs_of(loss));
        const std::vector<double> v = some_point(objective.dimension());
        double value = 0;
        std::vector<double> gradient(v.size()), tallies(objective.tallies());
        objective.value_and_gradient(v, value, gradient, tallies);
        for (const std::size_t batch_rows : {1u, 7u, 100u}) {
          Caller caller{objective, v};
          const std::size_t batches = objective.deal(batch_rows, 5);
          double weight = 0;
          for (std::size_t b = 0; b < batches; ++b) {
            caller.add(b);
            weight += objective.batch_weight(b);
          }
          EXPECT_EQ(batches, batch_rows == 1 ? kRows : batch_rows == 7 ? 8u : 1u);
          EXPECT_NEAR(weight, objective.weight(), 1e-12);
          EXPECT_NEAR(caller.value, value, 1e-12 * value);
          for (std::size_t j = 0; j < v.size(); ++j) EXPECT_NEAR(caller.gradient[j], gradient[j], 1e-11) << j;
        }
      }
    }
  }
}

TEST(Batches, DerivativesByTheKeysAreTheDifferencesOfTheValue) {
  for (const Loss loss : kLosses) {
    const Shard dense = some_shard(loss);
    for (const Shard& shard : {dense, as_sparse(dense)}) {
      Executor executor(1);
      LinearRows rows(shard, executor, best_instruction_set());
      LinearObjective objective(rows, loss, some_scaling(), true, outputs_of(loss));
      ASSERT_GT(objective.deal(4, 1), 2u);
      const std::size_t size = objective.keys(2).size();
      std::vector<double> w = some_point(size), gradient(size), unused(size);
      double value = 0;
      objective.batch_gradient(2, w, value, gradient);
      for (std::size_t i = 0; i < size; ++i) {
        const double step = 1e-5, middle = w[i];
        double above = 0, below = 0;
        w[i] = middle + step;
        objective.batch_gradient(2, w, above, unused);
        w[i] = middle - step;
        objective.batch_gradient(2, w, below, unused);
        w[i] = middle;
        EXPECT_NEAR(gradient[i], (above - below) / (2 * step), 1e-6 * (1 + std::fabs(gradient[i]))) << i;
      }
    }
  }
}

void expect_keys_of_the_rows(Loss loss) {
  const Shard dense = some_shard(loss);
  const Shard sparse = as_sparse(dense);
  Executor executor(1);
  LinearRows rows(sparse, executor, best_instruction_set());
  const auto outputs = static_cast<std::uint32_t>(outputs_of(loss));
  LinearObjective objective(rows, loss, some_scaling(), true, outputs);
  // One row a batch: every row's columns come up as often as in the matrix, each list ascending.
  std::multiset<std::vector<std::uint32_t>> expected, dealt;
  for (std::size_t i = 0; i < kRows; ++i) {
    std::vector<std::uint32_t> keys;
    for (std::uint32_t j = 0; j <= kColumns; ++j) {
      if (j < kColumns && testing::value_at(dense, i, j) == 0) continue;
      for (std::uint32_t k = 0; k < outputs; ++k) keys.push_back(j * outputs + k);
    }
    expected.insert(keys);
  }
  const std::size_t batches = objective.deal(1, 3);
  for (std::size_t b = 0; b < batches; ++b) {
    const std::span<const std::uint32_t> keys = objective.keys(b);
    dealt.insert({keys.begin(), keys.end()});
  }
  EXPECT_EQ(dealt, expected);

  LinearRows dense_rows(dense, executor, best_instruction_set());
  LinearObjective without(dense_rows, loss, some_scaling(), false, outputs);
  without.deal(7, 3);
  EXPECT_EQ(without.keys(0).size(), kColumns * outputs);
  EXPECT_TRUE(without.implicit_centre().empty());
}

TEST(Batches, KeysAreTheColumnsOfTheRowsAndTheIntercepts) {
  expect_keys_of_the_rows(Loss::squared);
  expect_keys_of_the_rows(Loss::softmax);
}

// Rows sorted by class, as files often are: no batch of 20 may be of one class (chance 2^-19 each by a fair deal).
TEST(Batches, AreDealtBySeedAndNotInTheOrderOfTheRows) {
  Shard shard = dense_shard({.rows = 200, .cols = 1});
  for (std::size_t i = 0; i < 200; ++i) shard.targets[i] = i < 100 ? 0 : 1;
  Executor executor(1);
  LinearRows rows(shard, executor, best_instruction_set());
  LinearObjective objective(rows, Loss::squared, {{0}, {1}}, true);
  const auto residuals = [&](std::uint64_t seed) {
    std::vector<double> sums, gradient(2);
    const std::size_t batches = objective.deal(20, seed);
    for (std::size_t b = 0; b < batches; ++b) {
      double value = 0;
      objective.batch_gradient(b, std::vector<double>{0, 0}, value, gradient);
      sums.push_back(-gradient[1]);  // rows of class 1
    }
    return sums;
  };
  const std::vector<double> first = residuals(1);
  EXPECT_EQ(first.size(), 10u);
  for (const double ones : first) {
    EXPECT_GT(ones, 0);
    EXPECT_LT(ones, 20);
  }
  EXPECT_EQ(residuals(1), first);
  EXPECT_NE(residuals(2), first);
}

TEST(Batches, LargestRowCurvatureByHand) {
  // Centre (1, 0), scale (2, 1): rows (3, 1) and (1, 2) become (1, 1) and (0, 2), with a 1 for the intercept: 3 and 5;
  // times their weights over the mean weight, 2/1.5 and 1/1.5.
  Shard shard;
  shard.matrix = DenseMatrix{2, 2, AlignedVector<double>{3, 1, 1, 2}};
  shard.targets = {1, 0};
  shard.weights = {2, 1};
  Executor executor(1);
  for (const Shard& stored : {shard, as_float32(shard), as_sparse(shard)}) {
    LinearRows rows(stored, executor, best_instruction_set());
    EXPECT_NEAR(LinearObjective(rows, Loss::squared, {{1, 0}, {2, 1}}, true).largest_row_curvature(), 4, 1e-14);
    EXPECT_NEAR(LinearObjective(rows, Loss::logistic, {{1, 0}, {2, 1}}, true).largest_row_curvature(), 1, 1e-14);
    EXPECT_NEAR(LinearObjective(rows, Loss::softmax, {{1, 0}, {2, 1}}, true, 2).largest_row_curvature(), 2, 1e-14);
  }
}

TEST(Batches, NoRowsAreNoBatches) {
  Shard shard;
  shard.matrix = DenseMatrix{0, 5, AlignedVector<double>{}};
  Executor executor(1);
  LinearRows rows(shard, executor, best_instruction_set());
  LinearObjective objective(rows, Loss::squared, {AlignedVector<double>(5, 0.0), std::vector<double>(5, 1.0)}, true);
  EXPECT_EQ(objective.deal(4, 1), 0u);
  EXPECT_EQ(objective.largest_row_curvature(), 0);
}

}  // namespace
}  // namespace muster
