// Step length along a descent direction, by the strong Wolfe conditions.
//
//     φ(α) = f(w + αp),  φ'(0) < 0;    find α > 0 with
//
//     φ(α) ≤ φ(0) + c1 α φ'(0)    and    |φ'(α)| ≤ c2 |φ'(0)|
//
// lo: the lowest α so far that meets the first condition, at first 0; hi: the other end of an interval that holds a
// solution, ∞ while none is known. A trial that is not finite, too high for the first condition, or higher than lo
// becomes hi. Any other becomes lo, and the old lo hi where φ rises from the trial towards hi. The next trial is four
// times as far while hi = ∞, else where the cubic through both ends is least. That is bracketing and zoom in one loop.
//
// The first trial is evaluated with its gradient, which is all most searches need. Where it does not do, the problem
// may know φ between and beyond 0 and that trial by scalars alone (Problem::begin_line): then further trials cost
// next to nothing, the minimum is found closely (c2 = 0.1), and f is evaluated once more, at the step taken. Where the
// problem can tell φ so before any trial is evaluated (Problem::looks_along), every search goes that way, and every
// step is taken close to the minimum for the price of one evaluation.
//
// Values that are equal to rounding decide nothing: then "too high" is left to the sign of φ', and the conditions are
// Hager and Zhang's approximate ones.
//
// Sources: J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., algorithms 3.5 and 3.6, (3.59); W. W. Hager,
// H. Zhang, SIAM J. Optim. 16 (2005) for values near rounding.
#pragma once

#include <cstdint>
#include <span>

#include "solver/point.h"

namespace muster {

struct WolfeOptions {
  double decrease = 1e-4;          // c1
  double curvature = 0.9;          // c2
  double curvature_on_line = 0.1;  // c2 where trials cost scalars only
  int max_trials = 25;             // of one search
};

class LineSearch {
 public:
  enum class End {
    found,       // both conditions hold
    lower,       // out of trials, at a point that is lower, or as low with a smaller gradient
    none,        // out of trials, and nothing lower
    not_finite,  // out of trials, and f was finite nowhere
    stopped,     // the problem asks to stop
  };

  LineSearch(Problem& problem, const WolfeOptions& options);

  // From `from` along `direction`, with slope = φ'(0) < 0 and `first` the step tried first.
  End search(const Point& from, std::span<const double> direction, double slope, double first);

  // At found and lower, the new point: to be swapped or moved from.
  Point& point() { return lowest_; }
  // At none: whether f rose, beyond rounding, where its slopes say that it falls; else rounding hid all that was lower.
  bool contradicted() const { return contradicted_; }
  std::int64_t evaluations() const { return evaluations_; }  // of f and its gradient, in all searches

 private:
  struct Trial {  // φ at a step
    double step = 0, value = 0, slope = 0;
    bool finite = true;
    bool by_scalars = false;  // its point and gradient are not known
  };
  struct Line {
    const Point& from;
    std::span<const double> direction;
    double first;                                           // step of the first trial
    enum { evaluated, by_scalars, ahead } how = evaluated;  // how φ is known; ahead: by scalars, and nothing evaluated
  };

  void move(const Line& line, double step, Point& to) const;
  Trial evaluate_at(const Line& line, double step);
  // f and its gradient at the step taken by scalars, to lowest_.
  void evaluate_lowest(const Line& line, double step);
  Trial next_trial(const Line& line, double step);
  static double next_step(const Trial& lo, const Trial& hi);

  Problem& problem_;
  WolfeOptions options_;
  Point trial_, lowest_;
  std::int64_t evaluations_ = 0;
  bool contradicted_ = false;
};

}  // namespace muster
