#include "train/hogwild.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "objective/linear_steps.h"
#include "solver/guarded_run.h"

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 30;
constexpr double kFirstLength = 0.7;  // of steps: below 1, since their noise grows with it

}  // namespace

SolverResult minimise_hogwild(Problem& problem, const LinearObjective& objective, const Shard& rows, Executor& executor,
                              std::vector<double> start, const HogwildOptions& options) {
  GuardedRun run(problem, std::move(start), {options.max_rounds, options.first_round, kRoundsWithoutProgress});
  if (!run.begin()) return run.result();
  LinearSteps steps(objective, rows, executor, options.penalty, options.l1, options.seed);
  double length = kFirstLength;
  for (double left = options.max_passes; left > 0; --left) {
    if (!run.may_go_on()) return run.result();
    const Point& at = run.current();
    steps.begin(at.w, at.gradient, length);
    steps.take(static_cast<std::size_t>(std::ceil(std::min(left, 1.0) * static_cast<double>(steps.count()))));
    steps.read(run.trial());
    if (!run.take(at.value)) {
      length /= 2;
      if (length == 0) return run.end(StopReason::diverged, "no step, however short, keeps the objective finite");
    }
    if (!run.not_at_its_end()) return run.result();
  }
  return run.end(StopReason::max_rounds, "the limit on passes over the data was reached");
}

}  // namespace muster
