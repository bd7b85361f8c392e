#include "solver/guarded_run.h"

#include <utility>

namespace muster {

GuardedRun::GuardedRun(Problem& problem, std::vector<double> start, const GuardedRunOptions& options)
    : problem_(problem),
      options_(options),
      current_{std::move(start), std::vector<double>(problem.dimension())},
      trial_{std::vector<double>(problem.dimension()), std::vector<double>(problem.dimension())},
      floor_(options.patience) {}

bool GuardedRun::over(StopReason reason, const char* detail) {
  verdict_ = {true, reason, detail};
  return false;
}

bool GuardedRun::judge() {
  verdict_ = problem_.after_round(options_.first_round + rounds_, current_.w, current_.value, current_.gradient);
  return !verdict_.stop;
}

bool GuardedRun::begin() {
  ++rounds_;
  if (!evaluate(problem_, current_)) return over(StopReason::diverged, "the objective is not finite at the start");
  return judge();
}

bool GuardedRun::may_go_on() {
  return options_.first_round + rounds_ < options_.max_rounds ||
         over(StopReason::max_rounds, "the limit on rounds was reached");
}

bool GuardedRun::take(double allowed) {
  ++rounds_;
  const bool finite = evaluate(problem_, trial_);
  if (!finite || trial_.value > allowed + hidden_by_rounding(current_.value, trial_.value)) return false;
  std::swap(current_, trial_);
  return true;
}

bool GuardedRun::not_at_its_end() {
  if (!judge()) return false;
  return !floor_.at_floor(current_) ||
         over(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
}

SolverResult GuardedRun::end(StopReason reason, std::string detail) {
  return {std::move(current_.w), reason, std::move(detail), rounds_, rounds_};
}

}  // namespace muster
