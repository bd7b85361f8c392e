#include "solver/gd.h"

#include <cmath>

#include "solver/lanczos.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 100;

}  // namespace

SolverResult minimise_gd(Problem& problem, std::vector<double> start, const GdOptions& options) {
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
  double lipschitz =
      options.lipschitz > 0 ? options.lipschitz : estimate_largest_curvature(problem, options.seed).estimate;
  if (!std::isfinite(lipschitz)) return finish(StopReason::diverged, "the curvature is not finite");
  if (!(lipschitz > 0)) lipschitz = 1;  // f is linear as far as seen; the guard finds out
  FloorDetector floor(kRoundsWithoutProgress);
  while (options.first_round + result.rounds < options.max_rounds) {
    const double step = 1 / lipschitz;
    for (std::size_t i = 0; i < n; ++i) trial.w[i] = current.w[i] - step * current.gradient[i];
    ++result.rounds;
    const bool finite = evaluate(problem, trial);
    const double hidden = hidden_by_rounding(current.value, trial.value);
    if (!finite || trial.value > current.value - 0.5 * step * current.square + hidden) {
      lipschitz *= 2;
      if (!std::isfinite(lipschitz) || 1 / lipschitz == 0)
        return finish(StopReason::diverged, "no step, however short, keeps the objective finite");
    } else {
      std::swap(current, trial);
    }
    verdict = problem.after_round(options.first_round + result.rounds, current.w, current.value, current.gradient);
    if (verdict.stop) return finish(verdict.reason, verdict.detail);
    if (floor.at_floor(current))
      return finish(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
  }
  return finish(StopReason::max_rounds, "the limit on rounds was reached");
}

}  // namespace muster
