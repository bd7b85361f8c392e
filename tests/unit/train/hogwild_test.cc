#include "train/hogwild.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "batch_cluster.h"
#include "cluster/threads/threads_launch.h"
#include "solver/nesterov.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::as_two_classes;
using testing::batch_problem;
using testing::BatchProblem;
using testing::difference_of_classes;
using testing::distance;
using testing::minimiser;
using testing::objective_at;

struct Race {
  int threads = 1;
  double tolerance = 1e-9;  // on the gradient's norm
  double max_passes = 1000;
  std::uint64_t seed = 7;
};

struct Finish {
  SolverResult result;
  std::vector<RoundReport> rounds;
};

// Runs solve on a MapReduce of one rank over the problem's rows.
template <class Solve>
Finish on_one_rank(const BatchProblem& problem, const Shard& shard, const Race& race, const Solve& solve) {
  Finish finish;
  run_threads(1, {}, [&](Endpoint& endpoint) {
    Executor executor(race.threads);
    LinearRows rows(shard, executor, best_instruction_set());
    LinearObjective objective(rows, problem.loss, problem.scaling, true, problem.outputs);
    MapReduceOptions options;
    options.penalty = problem.penalty;
    options.l1 = problem.l1;
    options.judge = [&](const RoundState& state) -> Problem::Verdict {
      return {state.gradient_norm < race.tolerance, StopReason::converged, "small"};
    };
    MapReduce map_reduce(objective, endpoint, options);
    finish.result = solve(map_reduce, objective, executor);
    finish.rounds = map_reduce.rounds();
  });
  return finish;
}

Finish hogwild(const BatchProblem& problem, const Shard& shard, const Race& race) {
  return on_one_rank(problem, shard, race, [&](MapReduce& map_reduce, LinearObjective& objective, Executor& executor) {
    return minimise_hogwild(
        map_reduce, objective, shard, executor, std::vector<double>(problem.dimension()),
        {.penalty = problem.penalty, .l1 = problem.l1, .max_passes = race.max_passes, .seed = race.seed});
  });
}

// L-BFGS's minimiser, for either loss, both storages of rows and of numbers, one thread and several. 300 rows are three
// blocks of steps or so, which two threads take at one time.
TEST(Hogwild, ReachesTheMinimiser) {
  for (const bool classes : {false, true}) {
    for (const bool sparse : {false, true}) {
      const BatchProblem problem =
          batch_problem({.rows = 600, .cols = 20, .density = sparse ? 0.15 : 1, .classes = classes}, 0.01);
      const std::vector<double> best = minimiser(problem);
      for (const int threads : {1, 2, 4}) {
        for (const bool float32 : {false, true}) {
          Shard shard = sparse ? as_sparse(problem.all, float32) : problem.all;
          if (!sparse && float32) shard = as_float32(problem.all);
          const Finish finish = hogwild(problem, shard, {.threads = threads});
          EXPECT_EQ(finish.result.reason, StopReason::converged) << classes << sparse << threads << float32;
          EXPECT_LT(distance(finish.result.w, best), 1e-6) << classes << sparse << threads << float32;
          EXPECT_LT(finish.result.rounds, 100) << classes << sparse << threads << float32;
        }
      }
    }
  }
}

// Both classes move by half the step of their difference: the same steps as the logistic loss, and with threads the
// same minimiser.
TEST(Hogwild, TwoClassesOfSoftmaxAreLogistic) {
  const BatchProblem logistic = batch_problem({.rows = 400, .cols = 12, .density = 0.2, .classes = true}, 0.01);
  const BatchProblem softmax = as_two_classes(logistic);
  for (const bool sparse : {false, true}) {
    const Shard shard = sparse ? as_sparse(logistic.all) : logistic.all;
    const Race few{.tolerance = 1e-14, .max_passes = 4};
    const auto w = hogwild(logistic, shard, few).result.w, v = hogwild(softmax, shard, few).result.w;
    EXPECT_LT(distance(difference_of_classes(v), w), 1e-12) << sparse;
    const Finish finish = hogwild(softmax, shard, {.threads = 3});
    EXPECT_EQ(finish.result.reason, StopReason::converged);
    EXPECT_LT(distance(difference_of_classes(finish.result.w), minimiser(logistic)), 1e-6) << sparse;
  }
}

// Weights from 0 to 3, offsets, rows a hundred times as long as others, and no penalty.
TEST(Hogwild, WeightsOffsetsAndLongRows) {
  BatchProblem problem = batch_problem({.rows = 500, .cols = 8, .weights = true, .offsets = true}, 0);
  auto& values = std::get<0>(std::get<DenseMatrix>(problem.all.matrix).values);
  for (std::size_t i = 0; i < 500; i += 50)
    for (std::size_t j = 0; j < 8; ++j) values[i * 8 + j] *= 100;
  const std::vector<double> best = minimiser(problem);
  for (const bool sparse : {false, true}) {
    const Finish finish = hogwild(problem, sparse ? as_sparse(problem.all) : problem.all, {.threads = 2});
    EXPECT_EQ(finish.result.reason, StopReason::converged);
    EXPECT_LT(distance(finish.result.w, best), 1e-6 * (1 + distance(best, std::vector<double>(9)))) << sparse;
  }
}

// With l1: Nesterov's minimiser, and the same coefficients exactly 0.
TEST(Hogwild, LassoHasExactZeros) {
  for (const bool classes : {false, true}) {
    const BatchProblem problem =
        batch_problem({.rows = 600, .cols = 20, .density = 0.15, .classes = classes}, 0.001, classes ? 0.01 : 0.05);
    const Shard shard = as_sparse(problem.all);
    const Finish best = on_one_rank(problem, shard, {.tolerance = 1e-11}, [&](MapReduce& f, auto&, Executor&) {
      return minimise_nesterov(f, std::vector<double>(problem.dimension()), {.l1 = problem.l1});
    });
    const Finish finish = hogwild(problem, shard, {.threads = 2});
    EXPECT_EQ(finish.result.reason, StopReason::converged);
    std::size_t zeros = 0;
    for (std::size_t j = 0; j < problem.dimension(); ++j) {
      EXPECT_NEAR(finish.result.w[j], best.result.w[j], 1e-6) << classes << j;
      EXPECT_EQ(finish.result.w[j] == 0, best.result.w[j] == 0) << classes << j;
      zeros += finish.result.w[j] == 0 ? 1 : 0;
    }
    EXPECT_GT(zeros, 3u);
  }
}

// One thread with one seed: bit for bit. Another seed: another way to the same place.
TEST(Hogwild, OneThreadIsDeterministic) {
  const BatchProblem problem = batch_problem({.rows = 400, .cols = 15, .density = 0.2, .classes = true}, 0.01);
  const Shard shard = as_sparse(problem.all);
  const Race race{.tolerance = 1e-9, .max_passes = 5};
  const Finish first = hogwild(problem, shard, race), second = hogwild(problem, shard, race);
  EXPECT_EQ(first.result.w, second.result.w);
  EXPECT_NE(first.result.w, hogwild(problem, shard, {.max_passes = 5, .seed = 8}).result.w);
}

// Rounds count the evaluation at the start; passes may be cut; F never rises.
TEST(Hogwild, PassesAreLimitedAndNeverRaiseTheObjective) {
  const BatchProblem problem = batch_problem({.rows = 400, .cols = 15, .density = 0.2, .classes = true}, 0.01);
  const Shard shard = as_sparse(problem.all);
  const Finish part = hogwild(problem, shard, {.max_passes = 0.5}), one = hogwild(problem, shard, {.max_passes = 1}),
               several = hogwild(problem, shard, {.max_passes = 6});
  EXPECT_EQ(part.result.reason, StopReason::max_rounds);
  EXPECT_EQ(part.result.rounds, 2);
  EXPECT_EQ(one.result.rounds, 2);
  EXPECT_EQ(several.result.rounds, 7);
  const double best = objective_at(problem, minimiser(problem));
  const auto left = [&](const Finish& finish) {
    return (objective_at(problem, finish.result.w) - best) / (std::log(2.0) - best);
  };
  EXPECT_LT(left(part), 1);
  EXPECT_LT(left(one), 0.5);
  EXPECT_LT(left(several), 0.05);
  for (std::size_t r = 1; r < several.rounds.size(); ++r)
    EXPECT_LE(several.rounds[r].objective, several.rounds[r - 1].objective);
}

}  // namespace
}  // namespace muster
