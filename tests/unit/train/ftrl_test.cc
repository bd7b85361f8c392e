#include "train/ftrl.h"

#include <gtest/gtest.h>

#include <cmath>

#include "batch_cluster.h"

namespace muster {
namespace {

using testing::as_two_classes;
using testing::batch_problem;
using testing::BatchProblem;
using testing::BatchRun;
using testing::difference_of_classes;
using testing::distance;
using testing::minimiser;
using testing::objective_at;
using testing::train_batches;

ParameterServerOptions ftrl_options(std::int64_t batch, double epochs) {
  ParameterServerOptions options;
  options.solver = ServerSolver::ftrl;
  options.server.batch = batch;
  options.session.max_epochs = epochs;
  return options;
}

// L = 1, m = 1: ρ_0 = 2. One key, p = 0.5, q = 0.25, w_0 = 1: z = −2. Push g = 3, r = 1: n = 9, ρ = 2 + 3 = 5, σ = 3,
// z = −2 + 3 − 3·1 = −2, w = (2 − 0.25)/(5 + 0.5). Push g = −4: n = 25, ρ = 7, σ = 2, z = −2 − 4 − 2w,
// w' = (−z − 2·0.25)/(7 + 2·0.5). A push g large enough to bring |z| to at most 3·0.25 makes it 0.
TEST(Ftrl, StepsByHand) {
  RunFacts facts;
  facts.weights = {4};
  facts.weight = 4;
  facts.lipschitz = 1;
  facts.penalty = {0.5};
  facts.l1 = {0.25};
  RowFacts rows;
  rows.touched = {1};
  rows.centre = {0};
  rows.epoch_pushes = 2;
  FtrlServer server(facts, rows, {0, 1}, {{1}}, 1);
  const auto push = [&](double g) {
    const std::vector<double> values{g};
    Push message;
    message.values = values;
    server.apply(message);
    double w = 0;
    server.read({&w, 1});
    return w;
  };
  double w = 0;
  server.read({&w, 1});
  EXPECT_EQ(w, 1);
  const double first = push(3), second = (6 + 2 * first - 0.5) / 8;
  EXPECT_DOUBLE_EQ(first, 1.75 / 5.5);
  EXPECT_DOUBLE_EQ(push(-4), second);
  const double z = -6 - 2 * first, g = 0.5 - z;  // σ = √(25 + g²) − 5
  const double sigma = std::sqrt(25 + g * g) - 5;
  ASSERT_LT(std::abs(z + g - sigma * second), 3.0);
  FtrlServer again(facts, rows, {0, 1}, server.columns(), 1);
  server.read({&w, 1});
  double copied = 0;
  again.read({&copied, 1});
  EXPECT_EQ(copied, w);
  const double z_third = z + g - sigma * second;
  const double expected =
      std::abs(z_third) <= 0.75 ? 0.0 : -(z_third - std::copysign(0.75, z_third)) / (7 + sigma + 1.5);
  EXPECT_DOUBLE_EQ(push(g), expected);
}

// Three classes, one column with centre 1 and scale 1, so k = 1 for each class; L = 1, m = 1, r = 1: ρ_0 = 2; p = 0.5.
// A row x = 2 of class 1 at v = 0 pushes 2R for the column and R for the intercepts, R = (1, −2, 1)/3. Centred by
// the servers all of it is R: z = R, ρ = 2 + |R|, and w = −R/(ρ + 0.5), b = −R/ρ.
// A row x = 0 touches the intercepts alone: the column's z moves by −R' of the push as it passes by, and the penalty
// counts twice, when it is read.
TEST(Ftrl, StepsOfThreeClassesByHand) {
  RunFacts facts;
  facts.weights = {2};
  facts.weight = 2;
  facts.lipschitz = 1;
  facts.penalty = {0.5, 0.5, 0.5, 0, 0, 0};
  facts.l1 = std::vector<double>(6, 0.0);
  RowFacts rows;
  rows.touched = {0.5, 0.5, 0.5, 1, 1, 1};
  rows.centre = {1, 1, 1, 0, 0, 0};
  rows.sums = 3;
  rows.keyed = true;
  rows.epoch_pushes = 10;
  // On one server, and on two whose ranges part a column's classes.
  for (const std::vector<KeyRange>& ranges : {std::vector<KeyRange>{{0, 6}}, {{0, 2}, {2, 6}}}) {
    std::vector<FtrlServer> servers;
    for (const KeyRange range : ranges)
      servers.emplace_back(facts, rows, range, std::vector<std::vector<double>>{std::vector<double>(range.size())}, 1);
    const auto push = [&](std::vector<double> all, const std::vector<double>& residuals, std::uint32_t first_key) {
      for (std::size_t s = 0; s < ranges.size(); ++s) {
        std::vector<std::uint32_t> keys;
        std::vector<double> values;
        for (std::uint32_t key = first_key; key < 6; ++key) {
          if (key < ranges[s].begin || key >= ranges[s].end) continue;
          keys.push_back(key - static_cast<std::uint32_t>(ranges[s].begin));
          values.push_back(all[key]);
        }
        servers[s].apply({.dense = false, .keys = keys, .values = values, .residuals = residuals});
      }
      std::vector<double> v;
      for (std::size_t s = 0; s < ranges.size(); ++s) {
        std::vector<double> part(ranges[s].size());
        servers[s].read(part);
        v.insert(v.end(), part.begin(), part.end());
      }
      return v;
    };
    const std::vector<double> r{1 / 3.0, -2 / 3.0, 1 / 3.0}, second{-0.5, 0.125, 0.375};
    const std::vector<double> v = push({2 * r[0], 2 * r[1], 2 * r[2], r[0], r[1], r[2]}, r, 0);
    std::vector<double> extras(3);
    for (const FtrlServer& server : servers)
      for (std::size_t k = 0; k < 3; ++k) extras[k] += server.extras()[k];
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_DOUBLE_EQ(v[k], -r[k] / (2.5 + std::abs(r[k])));
      EXPECT_DOUBLE_EQ(v[3 + k], -r[k] / (2 + std::abs(r[k])));
      EXPECT_DOUBLE_EQ(extras[k], v[k]);
    }
    const std::vector<double> next = push({0, 0, 0, second[0], second[1], second[2]}, second, 3);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(next[k], -(r[k] - second[k]) / (2 + std::abs(r[k]) + 2 * 0.5), 1e-16);
      const double size = std::sqrt(r[k] * r[k] + second[k] * second[k]), sigma = size - std::abs(r[k]);
      EXPECT_DOUBLE_EQ(next[3 + k], -(r[k] + second[k] - sigma * v[3 + k]) / (2 + size));
    }
  }
}

// With half the radius the rates of both classes are twice that of their difference: the same steps as the logistic
// loss, but for how the curvature was estimated.
TEST(Ftrl, TwoClassesOfSoftmaxMakeTheStepsOfTheLogisticLoss) {
  const BatchProblem logistic = batch_problem({.rows = 150, .cols = 9, .density = 0.2, .classes = true}, 0.05);
  const BatchProblem softmax = as_two_classes(logistic);
  for (const bool sparse : {false, true}) {
    const BatchRun run{.rows_of = {90, 60}, .servers = 2, .sparse = sparse, .sync = Synchronisation::Kind::bsp};
    ParameterServerOptions one = ftrl_options(4, 6), two = one;
    two.radius = 0.5;
    const auto w = train_batches(logistic, run, one).session.w;
    const auto v = train_batches(softmax, run, two).session.w;
    EXPECT_GT(distance(w, std::vector<double>(10)), 0.1);
    EXPECT_LT(distance(difference_of_classes(v), w), 1e-3 * distance(w, std::vector<double>(10))) << sparse;
  }
}

// Many classes, no step or radius chosen: near the minimiser, by coordinates that are penalised and those that are not.
TEST(Ftrl, SoftmaxConvergesToTheMinimiser) {
  BatchProblem problem = batch_problem({.rows = 300, .cols = 6, .density = 0.4}, 0.1);
  for (double& y : problem.all.targets) y = y > 0.6 ? 2 : y > -0.2 ? 1 : 0;
  problem.loss = Loss::softmax;
  problem.outputs = 3;
  problem.penalty.assign(18, 0.1);
  problem.penalty.resize(21, 0.0);
  problem.l1.assign(21, 0.0);
  const double least = objective_at(problem, minimiser(problem)),
               start = objective_at(problem, std::vector<double>(21));
  for (const bool sparse : {false, true}) {
    const BatchRun run{.rows_of = {120, 0, 180}, .servers = 2, .sparse = sparse};
    const auto w = train_batches(problem, run, ftrl_options(5, 300)).session.w;
    EXPECT_LT(objective_at(problem, w) - least, 2e-3 * (start - least)) << sparse;
  }
}

// Logistic loss with l1: columns that say nothing get exactly 0, and F is near its minimum, taken from proximal
// gradient descent (ISTA) on all rows.
TEST(Ftrl, L1GivesExactZerosNearTheMinimum) {
  const BatchProblem problem = batch_problem({.rows = 600, .cols = 20, .density = 0.3, .classes = true}, 0.01, 0.03);
  std::vector<double> best(problem.dimension());
  Executor executor(1);
  LinearRows rows(problem.all, executor, best_instruction_set());
  LinearObjective objective(rows, problem.loss, problem.scaling, true);
  for (int round = 0; round < 4000; ++round) {
    double value = 0;
    std::vector<double> gradient(best.size()), tallies(2);
    objective.value_and_gradient(best, value, gradient, tallies);
    for (std::size_t j = 0; j < best.size(); ++j) {
      const double v = best[j] - (gradient[j] / 600 + problem.penalty[j] * best[j]);
      best[j] = std::copysign(std::max(std::abs(v) - problem.l1[j], 0.0), v);
    }
  }
  const double start = objective_at(problem, std::vector<double>(21)), least = objective_at(problem, best);
  for (const bool sparse : {false, true}) {
    const BatchRun run{.rows_of = {200, 200, 200}, .servers = 2, .sparse = sparse};
    const auto once = train_batches(problem, run, ftrl_options(1, 1)).session.w;
    EXPECT_LT(objective_at(problem, once) - least, 0.1 * (start - least));
    const auto w = train_batches(problem, run, ftrl_options(4, 150)).session.w;
    EXPECT_LT(objective_at(problem, w) - least, 1e-3 * (start - least)) << sparse;
    std::size_t zeros = 0, expected = 0, same = 0;
    for (std::size_t j = 0; j < w.size(); ++j) {
      zeros += w[j] == 0;
      expected += best[j] == 0;
      same += (w[j] == 0) == (best[j] == 0);
    }
    EXPECT_GT(expected, 5u);
    EXPECT_GT(zeros, 5u);
    EXPECT_GE(same, w.size() - 2);
  }
}

// The penalty counts once, however many pushes: the averaged F is minimised.
TEST(Ftrl, ConvergesToTheMinimiser) {
  for (const bool classes : {false, true}) {
    const BatchProblem problem = batch_problem({.rows = 300, .cols = 6, .density = 0.4, .classes = classes}, 0.1);
    const std::vector<double> best = minimiser(problem);
    for (const bool sparse : {false, true}) {
      const BatchRun run{.rows_of = {100, 100, 100}, .servers = 2, .sparse = sparse};
      for (const std::int64_t batch : {5, 1000}) {
        const auto w = train_batches(problem, run, ftrl_options(batch, 400)).session.w;
        EXPECT_LT(distance(w, best), 0.05 * distance(best, std::vector<double>(7))) << classes << sparse << batch;
      }
    }
  }
}

}  // namespace
}  // namespace muster
