#include "solver/line_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace muster {
namespace {

constexpr double kExpand = 4;
constexpr double kShrink = 0.1;  // of the interval: beside a point where f is not finite, and nearest to either end

}  // namespace

LineSearch::LineSearch(Problem& problem, const WolfeOptions& options) : problem_(problem), options_(options) {
  for (Point* point : {&trial_, &lowest_}) {
    point->w.resize(problem.dimension());
    point->gradient.resize(problem.dimension());
  }
}

LineSearch::Trial LineSearch::evaluate_at(const Point& from, std::span<const double> direction, double step) {
  for (std::size_t i = 0; i < direction.size(); ++i) trial_.w[i] = from.w[i] + step * direction[i];
  ++evaluations_;
  Trial at{step, 0, 0, evaluate(problem_, trial_)};
  at.value = trial_.value;
  at.slope = dot(problem_, trial_.gradient, direction);
  at.finite = at.finite && std::isfinite(at.slope);
  return at;
}

double LineSearch::next_step(const Trial& lo, const Trial& hi) {
  if (std::isinf(hi.step)) return kExpand * lo.step;
  const double width = hi.step - lo.step;  // negative where hi is the nearer end
  if (!hi.finite) return lo.step + kShrink * width;
  double fraction;  // of the way from lo to hi
  const bool equal = std::abs(hi.value - lo.value) <= hidden_by_rounding(hi.value, lo.value);
  if (equal && lo.slope * hi.slope < 0) {
    fraction = lo.slope / (lo.slope - hi.slope);  // where the slope, taken as linear, is 0
  } else {
    const double d1 = lo.slope + hi.slope - 3 * (hi.value - lo.value) / width;
    const double d2 = std::copysign(std::sqrt(d1 * d1 - lo.slope * hi.slope), width);
    fraction = 1 - (hi.slope + d2 - d1) / (hi.slope - lo.slope + 2 * d2);
  }
  if (!std::isfinite(fraction)) fraction = 0.5;
  return lo.step + std::clamp(fraction, kShrink, 1 - kShrink) * width;
}

LineSearch::End LineSearch::search(const Point& from, std::span<const double> direction, double slope, double first) {
  Trial lo{0, from.value, slope}, hi{std::numeric_limits<double>::infinity()};
  bool any_finite = false;
  contradicted_ = false;
  double step = first;
  for (int evaluation = 0; evaluation < options_.max_evaluations; ++evaluation) {
    const Trial at = evaluate_at(from, direction, step);
    if (problem_.stop_requested()) return End::stopped;
    any_finite = any_finite || at.finite;
    const double allowed = std::min(from.value + options_.decrease * step * slope, lo.value);
    const double hidden = hidden_by_rounding(at.value, from.value);
    if (!at.finite || at.value > allowed + hidden) {
      hi = at;
      // A convex φ rises from 0 to the trial by at most step φ'(step).
      const double rise = at.value - from.value;
      if (at.finite && rise > hidden) contradicted_ = rise > step * at.slope + 2 * hidden;
    } else {
      if (at.slope * (hi.step - lo.step) >= 0) hi = lo;
      lo = at;
      std::swap(trial_, lowest_);
      if (std::abs(at.slope) <= -options_.curvature * slope) return End::found;
    }
    step = next_step(lo, hi);
  }
  const bool lower =
      lo.step > 0 &&
      (lowest_.value < from.value ||
       (lowest_.value <= from.value + hidden_by_rounding(lowest_.value, from.value) && lowest_.square < from.square));
  return lower ? End::lower : any_finite ? End::none : End::not_finite;
}

}  // namespace muster
