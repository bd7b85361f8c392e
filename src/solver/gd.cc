#include "solver/gd.h"

#include <cmath>
#include <utility>

#include "solver/guarded_run.h"
#include "solver/lanczos.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 100;

}  // namespace

SolverResult minimise_gd(Problem& problem, std::vector<double> start, const GdOptions& options) {
  GuardedRun run(problem, std::move(start), {options.max_rounds, options.first_round, kRoundsWithoutProgress});
  if (!run.begin()) return run.result();
  double lipschitz =
      options.lipschitz > 0 ? options.lipschitz : estimate_largest_curvature(problem, options.seed).estimate;
  if (!std::isfinite(lipschitz)) return run.end(StopReason::diverged, "the curvature is not finite");
  if (!(lipschitz > 0)) lipschitz = 1;  // f is linear as far as seen; the guard finds out
  while (run.may_go_on()) {
    const Point& at = run.current();
    const double step = 1 / lipschitz;
    for (std::size_t i = 0; i < at.w.size(); ++i) run.trial()[i] = at.w[i] - step * at.gradient[i];
    if (!run.take(at.value - 0.5 * step * at.square)) {
      lipschitz *= 2;
      if (!std::isfinite(lipschitz) || 1 / lipschitz == 0)
        return run.end(StopReason::diverged, "no step, however short, keeps the objective finite");
    }
    if (!run.not_at_its_end()) break;
  }
  return run.result();
}

}  // namespace muster
