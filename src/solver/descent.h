// The loop of rules that go along a direction of descent by line search: what they share when they stop, fail or find
// nothing lower.
//
//     w ← w + αp ,   p from the rule ,   α by line search (solver/line_search.h)
#pragma once

#include <cstdint>
#include <vector>

#include "solver/line_search.h"
#include "solver/point.h"
#include "solver/problem.h"

namespace muster {

struct DescentOptions {
  std::int64_t max_rounds = 100'000;
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
  WolfeOptions line_search = {};
};

// How a rule chooses its direction.
class DescentDirection {
 public:
  virtual ~DescentDirection() = default;

  // Writes the direction p from a point and returns the step to try first. Where p does not descend, it is asked again
  // after forget(); a rule that remembers nothing takes p = −g.
  virtual double choose(const Point& at, std::vector<double>& direction) = 0;
  // After a step.
  virtual void moved(const Point& /*from*/, const Point& /*to*/) {}
  // Drops what choose() was led by beyond the point itself; whether there was anything.
  virtual bool forget() { return false; }
};

// A round is a step taken, the evaluation at the start being the first; most take one evaluation. Ends by the problem's
// verdict, at max_rounds, when f or its gradient is not finite wherever a step goes (diverged), or when rounding hides
// all progress (converged: at the rounding floor): |g| has found no new minimum for thirty rounds in which f did not
// change beyond rounding, or no step along p, chosen afresh, lowers f. Where f rises although its slopes say that it
// falls, its gradient is not one: stalled.
SolverResult descend(Problem& problem, std::vector<double> start, DescentDirection& rule,
                     const DescentOptions& options);

}  // namespace muster
