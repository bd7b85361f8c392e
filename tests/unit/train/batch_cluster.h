// Linear problems spread over a simulated parameter server's workers, and their minimisers from a batch solver.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../objective/shards.h"
#include "base/executor.h"
#include "cluster/sim/sim_launch.h"
#include "objective/linear_rows.h"
#include "solver/lbfgs.h"
#include "train/mapreduce.h"
#include "train/parameter_server.h"

namespace muster::testing {

struct BatchProblem {
  Shard all;  // dense
  Loss loss = Loss::squared;
  Scaling scaling;
  std::vector<double> penalty, l1;  // with the intercepts' 0
  std::size_t outputs = 1;
  std::size_t columns() const { return all.cols(); }
  std::size_t dimension() const { return (columns() + 1) * outputs; }
};

// Targets follow the columns, so that there is something to learn; columns standardised.
inline BatchProblem batch_problem(const Shape& shape, double l2, double l1 = 0) {
  BatchProblem problem;
  problem.loss = shape.classes ? Loss::logistic : Loss::squared;
  problem.all = dense_shard(shape);
  const auto rows = static_cast<double>(shape.rows);
  for (std::size_t j = 0; j < shape.cols; ++j) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < shape.rows; ++i) sum += value_at(problem.all, i, j);
    for (std::size_t i = 0; i < shape.rows; ++i) squares += std::pow(value_at(problem.all, i, j) - sum / rows, 2);
    problem.scaling.centre.push_back(sum / rows);
    problem.scaling.scale.push_back(std::sqrt(squares / rows));
  }
  for (std::size_t i = 0; i < shape.rows; ++i) {
    double margin = 0.3;
    for (std::size_t j = 0; j < shape.cols; ++j) {
      const double x = (value_at(problem.all, i, j) - problem.scaling.centre[j]) / problem.scaling.scale[j];
      if (j % 3 != 1) margin += x / static_cast<double>(1 + j);
    }
    double& y = problem.all.targets[i];  // noise so far
    y = shape.classes ? static_cast<double>(margin + std::sin(7.0 * static_cast<double>(i)) > 0) : margin + 0.5 * y;
  }
  problem.penalty.assign(shape.cols, l2);
  problem.penalty.push_back(0);
  problem.l1.assign(shape.cols, l1);
  problem.l1.push_back(0);
  return problem;
}

// The same rows as two classes of softmax: with w_1 = −w_0 = w/2 the loss is the logistic one of w, and |w_0|² + |w_1|²
// is |w|²/2, so that twice the penalty has the same minimiser.
inline BatchProblem as_two_classes(const BatchProblem& logistic) {
  BatchProblem problem{logistic.all, Loss::softmax, logistic.scaling, {}, {}, 2};
  for (const double p : logistic.penalty) problem.penalty.insert(problem.penalty.end(), 2, 2 * p);
  problem.l1.assign(problem.penalty.size(), 0.0);
  return problem;
}
// w of w_0 and w_1.
inline std::vector<double> difference_of_classes(std::span<const double> v) {
  std::vector<double> w;
  for (std::size_t j = 0; j < v.size(); j += 2) w.push_back(v[j + 1] - v[j]);
  return w;
}

// Rows [begin, end) of a dense shard.
inline Shard rows_between(const Shard& all, std::size_t begin, std::size_t end) {
  const auto& values = std::get<0>(std::get<DenseMatrix>(all.matrix).values);
  const auto at = [&](std::size_t row) { return values.begin() + static_cast<std::ptrdiff_t>(row * all.cols()); };
  Shard part;
  part.matrix = DenseMatrix{end - begin, all.cols(), AlignedVector<double>(at(begin), at(end))};
  for (std::size_t i = begin; i < end; ++i) part.targets.push_back(all.targets[i]);
  return part;
}

// F, penalty and l1 included.
inline double objective_at(const BatchProblem& problem, std::span<const double> v) {
  Executor executor(1);
  LinearRows rows(problem.all, executor, best_instruction_set());
  LinearObjective objective(rows, problem.loss, problem.scaling, true, problem.outputs);
  double value = 0;
  std::vector<double> gradient(v.size()), tallies(objective.tallies());
  objective.value_and_gradient(v, value, gradient, tallies);
  value /= objective.weight();
  for (std::size_t j = 0; j < v.size(); ++j)
    value += 0.5 * problem.penalty[j] * v[j] * v[j] + problem.l1[j] * std::abs(v[j]);
  return value;
}

// By L-BFGS; l1 must be 0.
inline std::vector<double> minimiser(const BatchProblem& problem) {
  std::vector<double> w;
  run_simulated(1, {}, {}, [&](Endpoint& endpoint) {
    Executor executor(1);
    LinearRows rows(problem.all, executor, best_instruction_set());
    LinearObjective objective(rows, problem.loss, problem.scaling, true, problem.outputs);
    MapReduceOptions options;
    options.penalty = problem.penalty;
    options.judge = [](const RoundState& state) -> Problem::Verdict {
      return {state.gradient_norm < 1e-10, StopReason::converged, ""};
    };
    MapReduce map_reduce(objective, endpoint, options);
    w = minimise_lbfgs(map_reduce, std::vector<double>(problem.dimension()), {}).w;
  });
  return w;
}

struct BatchRun {
  ClusterModel cluster = {};
  std::vector<std::size_t> rows_of;  // by worker
  int servers = 1;
  bool sparse = false;
  Synchronisation::Kind sync = Synchronisation::Kind::async;
};

inline ParameterServerResult train_batches(const BatchProblem& problem, const BatchRun& run,
                                           ParameterServerOptions options) {
  const std::size_t workers = run.rows_of.size();
  options.session.penalty = problem.penalty;
  options.session.l1 = problem.l1;
  options.session.sync.kind = run.sync;
  options.server.servers = run.servers;
  ParameterServerResult result;
  run_simulated(static_cast<int>(workers) + run.servers, run.cluster, {}, [&](Endpoint& endpoint) {
    const auto rank = static_cast<std::size_t>(endpoint.rank());
    std::size_t begin = 0, count = 0;
    for (std::size_t k = 0; k < std::min(rank, workers); ++k) begin += run.rows_of[k];
    if (rank < workers) count = run.rows_of[rank];
    Shard mine = rows_between(problem.all, begin, begin + count);
    if (run.sparse) mine = as_sparse(mine);
    Executor executor(1);
    LinearRows rows(mine, executor, best_instruction_set());
    LinearObjective objective(rows, problem.loss, problem.scaling, true, problem.outputs);
    ParameterServerOptions own = options;
    own.implicit_centre = objective.implicit_centre();
    own.outputs = objective.outputs();
    ParameterServerResult trained =
        train_parameter_server(objective, endpoint, std::vector<double>(problem.dimension()), own);
    if (rank == 0) result = std::move(trained);
  });
  return result;
}

inline double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(sum);
}

}  // namespace muster::testing
