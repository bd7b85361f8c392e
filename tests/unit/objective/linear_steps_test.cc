#include "objective/linear_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "shards.h"

namespace muster {
namespace {

using testing::as_sparse;
using testing::dense_shard;
using testing::Shape;
using testing::weight_at;

struct Problem {
  Shard shard;
  Scaling scaling;
  std::vector<double> penalty;
};

// Scaled to variance 1 around the mean; penalties unequal.
Problem problem_of(Shape shape, bool sparse) {
  Problem problem{dense_shard(shape), {}, {}};
  double weight = 0;
  for (std::size_t i = 0; i < shape.rows; ++i) weight += weight_at(problem.shard, i);
  for (std::size_t j = 0; j < shape.cols; ++j) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < shape.rows; ++i)
      sum += weight_at(problem.shard, i) * testing::value_at(problem.shard, i, j) / weight;
    for (std::size_t i = 0; i < shape.rows; ++i)
      squares += weight_at(problem.shard, i) * std::pow(testing::value_at(problem.shard, i, j) - sum, 2) / weight;
    problem.scaling.centre.push_back(sum);
    problem.scaling.scale.push_back(std::sqrt(squares));
    problem.penalty.push_back(0.01 * static_cast<double>(j % 3));
  }
  problem.penalty.push_back(0);
  if (sparse) problem.shard = as_sparse(problem.shard);
  return problem;
}

// A pass of very short steps is one step of gradient descent with a step of each column's own,
//     v_j ← v_j − t g_j / (m_j / scale_j²),   b likewise with 1 for m,
// since in expectation, and to first order over a pass exactly, they go along F's gradient: however seldom a column
// comes, whatever the rows weigh, and for rows that are taken in parts.
TEST(LinearSteps, APassOfShortStepsIsADescentStep) {
  for (const bool sparse : {false, true}) {
    for (const bool classes : {false, true}) {
      const Shape shape{.rows = 400, .cols = 7, .density = sparse ? 0.1 : 1, .weights = true, .classes = classes};
      const Problem problem = problem_of(shape, sparse);
      Executor executor(1);
      LinearRows rows(problem.shard, executor, best_instruction_set());
      LinearObjective objective(rows, classes ? Loss::logistic : Loss::squared, problem.scaling, true);
      LinearSteps steps(objective, problem.shard, executor, problem.penalty, {}, 9);
      EXPECT_GT(steps.count(), 400u * 9 / 10);
      EXPECT_LE(steps.count(), 800u);
      std::vector<double> v(8, 0.3), gradient(8), tallies(objective.tallies()), moved(8);
      double value = 0;
      objective.value_and_gradient(v, value, gradient, tallies);
      for (std::size_t j = 0; j < 8; ++j) gradient[j] = gradient[j] / objective.weight() + problem.penalty[j] * v[j];
      const double length = 1e-6;
      steps.begin(v, gradient, length);
      steps.take(steps.count());
      steps.read(moved);
      // In the coordinates of the steps: u_j, and for sparse rows a = b − Σ u_j centre_j.
      const auto by_step = [&](const std::vector<double>& at, std::size_t j) {
        if (j < 7) return at[j] / problem.scaling.scale[j];
        double a = at[7];
        for (std::size_t k = 0; k < 7 && sparse; ++k) a -= at[k] / problem.scaling.scale[k] * problem.scaling.centre[k];
        return a;
      };
      const double h = classes ? 0.25 : 1, first = (by_step(v, 7) - by_step(moved, 7)) / gradient[7];
      EXPECT_GT(first, 0);
      for (std::size_t j = 0; j < 7; ++j) {
        const double scale = problem.scaling.scale[j], centre = problem.scaling.centre[j];
        const double slope = scale * gradient[j] + (sparse ? centre * gradient[7] : 0);
        const double m = scale * scale * (1 + problem.penalty[j] / h) + (sparse ? centre * centre : 0);
        EXPECT_NEAR((by_step(v, j) - by_step(moved, j)) / first, slope / m, 2e-3 * std::abs(slope / m) + 1e-6)
            << sparse << classes << j;
      }
    }
  }
}

// Rows of squared length 1 each and one of 100: mean (with the intercept's 1, all over m = their mean square), so that
// the long one is taken in as many parts as it is longer than the mean.
TEST(LinearSteps, ALongRowIsTakenInParts) {
  Shard shard;
  DenseMatrix matrix{11, 1, AlignedVector<double>(11, 1.0)};
  std::get<0>(matrix.values)[10] = 10;
  shard.matrix = std::move(matrix);
  shard.targets = AlignedVector<double>(11, 0.0);
  Executor executor(1);
  LinearRows rows(shard, executor, best_instruction_set());
  LinearObjective objective(rows, Loss::squared, {{0}, {1}}, true);
  const std::vector<double> penalty{0, 0};
  LinearSteps steps(objective, shard, executor, penalty, {}, 1);
  // m = 110/11 = 10; lengths 1/10 + 1 (ten times) and 100/10 + 1 = 11; mean 22/11 = 2: ⌈11/2⌉ = 6 parts.
  EXPECT_EQ(steps.count(), 10u + 6);
  // Rows without weight are not taken at all.
  shard.weights = AlignedVector<double>(11, 0.0);
  for (std::size_t i = 0; i < 5; ++i) shard.weights[i] = 1;
  LinearRows light(shard, executor, best_instruction_set());
  LinearObjective lighter(light, Loss::squared, {{0}, {1}}, true);
  LinearSteps fewer(lighter, shard, executor, penalty, {}, 1);
  EXPECT_EQ(fewer.count(), 5u);
}

}  // namespace
}  // namespace muster
