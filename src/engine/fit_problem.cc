#include "engine/fit_problem.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/fit_l1_bound.h"
#include "engine/fit_separation.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr int kIntercepts = 60;  // Newton passes on the intercept at most
constexpr double kUnit = 0x1p-53;

double ratio(double now, double allowed) {
  return allowed > 0 ? now / allowed : now > 0 ? std::numeric_limits<double>::infinity() : 0;
}

double largest(std::span<const double> values) {
  double result = 0;
  for (const double x : values) result = std::max(result, std::abs(x));
  return result;
}

bool moves(std::span<const double> from, std::span<const double> step) {
  for (std::size_t k = 0; k < from.size(); ++k)
    if (from[k] + step[k] != from[k]) return true;
  return false;
}

}  // namespace

FitProblem::FitProblem(FitContext& context)
    : context_(context),
      coordinates_(context.agreed, context.problem(), context.holds_intercept()),
      objective_(context.rows, context.problem().loss, coordinates_.scaling(), context.holds_intercept(),
                 context.outputs()) {
  if (context.columns_are_cut())
    block_.emplace(objective_, objective_, context.grid(), context.request.options.run.reduce);
}

Objective& FitProblem::summed_objective() {
  if (block_) return *block_;
  return objective_;
}

std::vector<double> FitProblem::from_user(const LinearModel& model) const {
  const std::size_t outputs = context_.outputs(), first = first_coordinate();
  MUSTER_CHECK(model.outputs() == outputs && model.w.size() == context_.all_columns() * outputs, "a whole model");
  const std::span<const double> w = std::span(model.w).subspan(first, context_.columns() * outputs);
  std::vector<double> v = coordinates_.from_user(w);
  const std::vector<double> shift = pairs_over_columns(coordinates_.shift(w));
  for (std::size_t k = 0; context_.holds_intercept() && k < outputs; ++k) {
    const DoubleDouble sum = DoubleDouble(shift[2 * k], shift[2 * k + 1]) + model.intercepts[k];
    v[w.size() + k] = static_cast<double>(sum);
  }
  return v;
}

LinearModel FitProblem::to_user(std::span<const double> v) const {
  const std::size_t outputs = context_.outputs();
  LinearModel model{coordinates_.to_user(v), std::vector<double>(outputs)};
  std::vector<DoubleDouble> intercepts = coordinates_.shift(model.w);
  for (std::size_t k = 0; k < outputs; ++k)
    intercepts[k] = (context_.holds_intercept() ? v[model.w.size() + k] : 0) - intercepts[k];
  const std::vector<double> sums = pairs_over_columns(intercepts);
  for (std::size_t k = 0; k < outputs; ++k)
    model.intercepts[k] = static_cast<double>(DoubleDouble(sums[2 * k], sums[2 * k + 1]));
  if (outputs > 1) centre_outputs(model.intercepts, outputs);
  return model;
}

std::vector<double> FitProblem::pairs_over_columns(const std::vector<DoubleDouble>& values) const {
  std::vector<double> pairs;
  for (const DoubleDouble& value : values) pairs.insert(pairs.end(), {value.high, value.low});
  context_.sum_over_columns(pairs, ReduceOp::sum_double_double);
  return pairs;
}

MapReduceOptions FitProblem::options() const {
  MapReduceOptions options;
  options.reduce = context_.request.options.run.reduce;
  options.penalty = coordinates_.penalty();
  options.l1 = coordinates_.l1();
  // Rows that are read anew do not look along lines, and have to give the same bits then.
  options.looks_along = !context_.request.options.run.reproducible;
  options.cancellation = context_.request.cancellation;
  options.max_seconds = context_.request.options.stop.max_seconds;
  return options;
}

std::optional<std::size_t> FitProblem::separating_column() {
  if (!classifies()) return std::nullopt;
  class_weights_ = agree_on_class_weights(context_);
  if (penalised() || context_.problem().l1 > 0) return std::nullopt;
  return context_.first_of_all(find_separating_column(agree_on_ranges(context_), has_intercept()));
}

std::vector<double> FitProblem::best_constant(MapReduce& map_reduce) {
  std::vector<double> v(dimension(), 0.0), gradient(dimension());
  const Loss loss = context_.problem().loss;
  if (context_.holds_intercept() && loss == Loss::squared) v[first_intercept()] = context_.agreed.target_centre;
  if (context_.holds_intercept() && loss == Loss::softmax) {
    for (std::size_t k = 0; k < class_weights_.size(); ++k) v[first_intercept() + k] = std::log(class_weights_[k]);
    centre_outputs(std::span(v).subspan(first_intercept()), class_weights_.size());
  }
  baseline_value_ = map_reduce.value_and_gradient(v, gradient);
  if (has_intercept() && loss == Loss::logistic)
    baseline_value_ = settle_intercepts(map_reduce, v, baseline_value_, gradient);
  const std::vector<double> least = minimum_norm_subgradient(v, gradient, coordinates_.l1());
  baseline_norm_ = std::sqrt(dot(map_reduce, least, least));
  return v;
}

double FitProblem::settle_intercepts(MapReduce& map_reduce, std::vector<double>& v, double value,
                                     std::vector<double>& gradient) const {
  const std::size_t outputs = context_.outputs();
  // Only ranks that hold the coordinates see them.
  const auto at_intercepts = [&](const std::vector<double>& x) {
    std::vector<double> there(outputs, 0.0);
    if (context_.holds_intercept()) std::copy_n(x.end() - static_cast<std::ptrdiff_t>(outputs), outputs, there.begin());
    context_.sum_over_columns(there);
    return there;
  };
  std::vector<double> slopes = at_intercepts(gradient), b = at_intercepts(v);
  for (int pass = 0; pass < kIntercepts; ++pass) {
    const InterceptCurvature curvature(context_.problem().loss, outputs, map_reduce.tallies(), map_reduce.weight());
    const std::vector<double> step = curvature.newton_step(slopes);
    if (!(largest(slopes) > 4 * kUnit) || !moves(b, step)) break;
    for (std::size_t k = 0; k < outputs; ++k) b[k] += step[k];
    if (context_.holds_intercept()) std::copy(b.begin(), b.end(), v.end() - static_cast<std::ptrdiff_t>(outputs));
    value = map_reduce.value_and_gradient(v, gradient);
    slopes = at_intercepts(gradient);
    if (largest(slopes) < 64 * kUnit) break;
  }
  return value;
}

double FitProblem::curvature_by_intercept(std::span<const double> tallies, double weight) const {
  if (!bounded() || !has_intercept()) return 1;
  return InterceptCurvature(context_.problem().loss, context_.outputs(), tallies, weight).least();
}

double FitProblem::bound(std::span<const double> v, std::span<const double> gradient, double value,
                         double curvature) const {
  return penalised() ? bound_by_l2(v, gradient, curvature) : bound_by_l1(v, gradient, value, curvature);
}

double FitProblem::bound_by_l2(std::span<const double> v, std::span<const double> gradient, double curvature) const {
  std::vector<double> subgradient;
  if (!coordinates_.l1().empty()) subgradient = minimum_norm_subgradient(v, gradient, coordinates_.l1());
  const std::span<const double> least = subgradient.empty() ? gradient : subgradient;
  double sums[] = {0, 0};
  auto& [square, by_intercept] = sums;
  const std::vector<double>& factor = coordinates_.to_penalised();
  square = sum_in_lanes(factor.size(), [&](std::size_t i) { return least[i] * factor[i] * (least[i] * factor[i]); });
  for (std::size_t i = factor.size(); i < least.size(); ++i) by_intercept += least[i] * least[i];
  context_.sum_over_columns(sums);
  return square / (2 * context_.problem().l2) + left_to_intercepts(context_.problem().loss, by_intercept, curvature);
}

double FitProblem::bound_by_l1(std::span<const double> v, std::span<const double> gradient, double value,
                               double curvature) const {
  const std::vector<double>& q = coordinates_.l1();
  double by_intercept = 0;
  if (context_.holds_intercept())
    for (std::size_t i = first_intercept(); i < gradient.size(); ++i) by_intercept += gradient[i] * gradient[i];
  context_.sum_over_columns({&by_intercept, 1});
  const Loss loss = context_.problem().loss;
  L1Bound bound(turned_by_intercepts(loss, by_intercept, curvature));
  for (std::size_t i = 0; i < q.size(); ++i)
    if (q[i] > 0) bound.add(v[i], gradient[i], q[i]);
  return bound.above_optimum(context_, value) + left_to_intercepts(loss, by_intercept, curvature);
}

double FitProblem::tolerated(double value) const {
  return context_.request.options.stop.tolerance * std::max(std::abs(value), baseline_value_);
}

double FitProblem::gap(const RoundState& state, double curvature) const {
  if (bounded()) return ratio(bound(state.w, state.gradient, state.value, curvature), tolerated(state.value));
  return ratio(state.gradient_norm, context_.request.options.stop.tolerance * baseline_norm_);
}

double FitProblem::estimated_gap(const RoundReport& round) const {
  if (!penalised()) return ratio(round.gradient_norm, context_.request.options.stop.tolerance * baseline_norm_);
  return ratio(round.gradient_norm * round.gradient_norm / (2 * context_.problem().l2), tolerated(round.objective));
}

// What rounding leaves of a gradient: each entry is a mean of residual × scaled value, whose root mean square is 1; the
// residual itself carries the rounding of its margin.
double FitProblem::rounding_floor(const RoundState& state) const {
  const double size = classifies() ? 1 : std::sqrt(2 * std::abs(state.value));
  double sums[] = {0, 0, static_cast<double>(state.w.size())};
  auto& [margin, shrunk, dimension] = sums;
  const std::array<double, 2> of_w = sums_in_lanes(
      state.w.size(), [&](std::size_t j) { return std::abs(state.w[j]); },
      [&](std::size_t j) { return std::abs(state.w[j]) * coordinates_.penalty()[j]; });
  margin = of_w[0];
  shrunk = of_w[1];
  context_.sum_over_columns(sums);
  const double each = largest_curvature(context_.problem().loss) * margin + size + shrunk;
  return kUnit * each * std::sqrt(dimension);
}

Problem::Verdict FitProblem::judge(const RoundState& state, double gap, double strictness, double estimate) const {
  if (classifies() && !penalised() && context_.problem().l1 == 0 && state.round > 0 && state.tallies[0] == 0)
    return {true, StopReason::diverged,
            "every row is on its right side: the classes are separable and the minimiser does not exist; add a "
            "penalty with --l2"};
  if (gap <= strictness && estimate <= tolerated(state.value))
    return {true, StopReason::converged,
            bounded() ? "the bound on f - f* met the tolerance" : "the gradient norm met the tolerance"};
  if (state.gradient_norm <= rounding_floor(state))
    return {true, StopReason::converged, "at the rounding floor: the gradient is rounding only"};
  return {};
}

StopEstimate FitProblem::estimate(double curvature) const {
  StopEstimate estimate;
  estimate.scale.assign(dimension(), 1.0);
  if (!penalised()) {
    const double allowed = context_.request.options.stop.tolerance * baseline_norm_;
    estimate.met = [allowed](double, double square) { return square <= allowed * allowed; };
    return estimate;
  }
  const std::vector<double>& factor = coordinates_.to_penalised();
  std::copy(factor.begin(), factor.end(), estimate.scale.begin());
  const double by_intercept = std::sqrt(2 * context_.problem().l2 / curvature * (classifies() ? 1 : 0.5));
  std::fill(estimate.scale.begin() + static_cast<std::ptrdiff_t>(factor.size()), estimate.scale.end(), by_intercept);
  estimate.met = [this](double value, double square) { return square <= 2 * context_.problem().l2 * tolerated(value); };
  return estimate;
}

}  // namespace muster
