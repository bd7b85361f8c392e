#include "solver/descent.h"

#include <cmath>
#include <string>
#include <utility>

namespace muster {
namespace {

constexpr int kRoundsWithoutProgress = 30;

class Descent {
 public:
  Descent(Problem& problem, std::vector<double> start, DescentDirection& rule, const DescentOptions& options)
      : problem_(problem),
        rule_(rule),
        options_(options),
        current_{std::move(start), std::vector<double>(problem.dimension())},
        line_search_(problem, options.line_search) {}

  SolverResult run() {
    result_.rounds = 1;
    if (!evaluate(problem_, current_)) return finish(StopReason::diverged, "the objective is not finite at the start");
    FloorDetector floor(kRoundsWithoutProgress);
    while (true) {
      const Problem::Verdict verdict =
          problem_.after_round(options_.first_round + result_.rounds, current_.w, current_.value, current_.gradient);
      if (verdict.stop) return finish(verdict.reason, verdict.detail);
      if (current_.square == 0) return finish(StopReason::converged, "the gradient is 0");
      if (floor.at_floor(current_))
        return finish(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
      if (options_.first_round + result_.rounds >= options_.max_rounds)
        return finish(StopReason::max_rounds, "the limit on rounds was reached");
      ++result_.rounds;
      LineSearch::End end = step();
      const bool failed = end == LineSearch::End::none || end == LineSearch::End::not_finite;
      if (failed && rule_.forget()) end = step();  // what is remembered may be rounding
      if (end == LineSearch::End::not_finite)
        return finish(StopReason::diverged, "no step, however short, keeps the objective finite");
      if (end == LineSearch::End::none) return finish_without_progress();
    }
  }

 private:
  // Takes a step from current_ where the line search finds one.
  LineSearch::End step() {
    double first = rule_.choose(current_, direction_);
    if (problem_.stop_requested()) return LineSearch::End::stopped;
    double slope = dot(problem_, direction_, current_.gradient);
    if (!(slope < 0) || !std::isfinite(slope)) {
      rule_.forget();
      first = rule_.choose(current_, direction_);
      slope = dot(problem_, direction_, current_.gradient);
    }
    const LineSearch::End end = line_search_.search(current_, direction_, slope, first);
    if (end == LineSearch::End::found || end == LineSearch::End::lower) {
      rule_.moved(current_, line_search_.point());
      std::swap(current_, line_search_.point());
    }
    return end;
  }

  SolverResult finish_without_progress() {
    if (line_search_.contradicted())
      return finish(StopReason::stalled, "the objective rises along what is given as its descent");
    return finish(StopReason::converged, "at the rounding floor: no step lowers the objective");
  }

  SolverResult finish(StopReason reason, std::string detail) {
    result_.w = std::move(current_.w);
    result_.reason = reason;
    result_.detail = std::move(detail);
    result_.evaluations = 1 + line_search_.evaluations();
    return std::move(result_);
  }

  Problem& problem_;
  DescentDirection& rule_;
  const DescentOptions& options_;
  Point current_;
  LineSearch line_search_;
  std::vector<double> direction_;
  SolverResult result_;
};

}  // namespace

SolverResult descend(Problem& problem, std::vector<double> start, DescentDirection& rule,
                     const DescentOptions& options) {
  return Descent(problem, std::move(start), rule, options).run();
}

}  // namespace muster
