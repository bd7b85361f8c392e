#include "train/ftrl.h"

#include <gtest/gtest.h>

#include <cmath>

#include "batch_cluster.h"

namespace muster {
namespace {

using testing::batch_problem;
using testing::BatchProblem;
using testing::BatchRun;
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
