#include "train/hogwild.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "objective/linear_steps.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 30;
constexpr double kFirstLength = 0.7;  // of steps: below 1, since their noise grows with it

}  // namespace

SolverResult minimise_hogwild(Problem& problem, const LinearObjective& objective, const Shard& rows, Executor& executor,
                              std::vector<double> start, const HogwildOptions& options) {
  const std::size_t n = problem.dimension();
  Point current{std::move(start), std::vector<double>(n)}, trial{std::vector<double>(n), std::vector<double>(n)};
  SolverResult result;
  const auto finish = [&](StopReason reason, std::string detail) {
    result.w = std::move(current.w);
    result.reason = reason;
    result.detail = std::move(detail);
    result.evaluations = result.rounds;
    return result;
  };
  result.rounds = 1;
  if (!evaluate(problem, current)) return finish(StopReason::diverged, "the objective is not finite at the start");
  Problem::Verdict verdict = problem.after_round(options.first_round + 1, current.w, current.value, current.gradient);
  if (verdict.stop) return finish(verdict.reason, verdict.detail);
  LinearSteps steps(objective, rows, executor, options.penalty, options.l1, options.seed);
  double length = kFirstLength;
  FloorDetector floor(kRoundsWithoutProgress);
  for (double left = options.max_passes; left > 0; --left) {
    if (options.first_round + result.rounds >= options.max_rounds)
      return finish(StopReason::max_rounds, "the limit on rounds was reached");
    steps.begin(current.w, current.gradient, length);
    steps.take(static_cast<std::size_t>(std::ceil(std::min(left, 1.0) * static_cast<double>(steps.count()))));
    steps.read(trial.w);
    ++result.rounds;
    const bool finite = evaluate(problem, trial);
    if (!finite || trial.value > current.value + hidden_by_rounding(current.value, trial.value)) {
      length /= 2;
      if (length == 0) return finish(StopReason::diverged, "no step, however short, keeps the objective finite");
    } else {
      std::swap(current, trial);
    }
    verdict = problem.after_round(options.first_round + result.rounds, current.w, current.value, current.gradient);
    if (verdict.stop) return finish(verdict.reason, verdict.detail);
    if (floor.at_floor(current))
      return finish(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
  }
  return finish(StopReason::max_rounds, "the limit on passes over the data was reached");
}

}  // namespace muster
