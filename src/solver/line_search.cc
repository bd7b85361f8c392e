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

void LineSearch::move(const Line& line, double step, Point& to) const {
  for (std::size_t i = 0; i < line.direction.size(); ++i) to.w[i] = line.from.w[i] + step * line.direction[i];
}

LineSearch::Trial LineSearch::evaluate_at(const Line& line, double step) {
  move(line, step, trial_);
  ++evaluations_;
  Trial at{step, 0, 0, evaluate(problem_, trial_)};
  at.value = trial_.value;
  at.slope = dot(problem_, trial_.gradient, line.direction);
  at.finite = at.finite && std::isfinite(at.slope);
  return at;
}

void LineSearch::evaluate_lowest(const Line& line, double step) {
  if (line.how != Line::ahead) {
    evaluate_at(line, step);
    return std::swap(trial_, lowest_);
  }
  move(line, step, lowest_);
  ++evaluations_;
  lowest_.value = problem_.value_and_gradient_on_line(step / line.first, lowest_.w, lowest_.gradient);
  lowest_.square = dot(problem_, lowest_.gradient, lowest_.gradient);
}

LineSearch::Trial LineSearch::next_trial(const Line& line, double step) {
  if (line.how == Line::evaluated) return evaluate_at(line, step);
  const Problem::OnLine known = problem_.on_line(step / line.first);
  return {step, known.value, known.slope / line.first, std::isfinite(known.value) && std::isfinite(known.slope), true};
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
  Line line{from, direction, first};
  if (problem_.looks_along()) {
    move(line, first, trial_);
    problem_.look_along(from.w, trial_.w);
    line.how = Line::ahead;
  }
  bool any_finite = false, found = false;
  contradicted_ = false;
  double step = first;
  for (int trial = 0; trial < options_.max_trials && !found; ++trial) {
    const Trial at = next_trial(line, step);
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
      if (!at.by_scalars) std::swap(trial_, lowest_);
      const double curvature = at.by_scalars ? options_.curvature_on_line : options_.curvature;
      found = std::abs(at.slope) <= -curvature * slope;
    }
    if (trial == 0 && at.finite && !found && line.how == Line::evaluated) {
      const Point& end = lo.step == step ? lowest_ : trial_;
      if (problem_.begin_line(from.w, end.w)) line.how = Line::by_scalars;
    }
    step = next_step(lo, hi);
  }
  if (lo.by_scalars) {
    evaluate_lowest(line, lo.step);
    if (problem_.stop_requested()) return End::stopped;
  }
  if (found) return End::found;
  const bool lower =
      lo.step > 0 &&
      (lowest_.value < from.value ||
       (lowest_.value <= from.value + hidden_by_rounding(lowest_.value, from.value) && lowest_.square < from.square));
  return lower ? End::lower : any_finite ? End::none : End::not_finite;
}

}  // namespace muster
