#include "engine/fit_problem.h"

#include <algorithm>
#include <cmath>

#include "engine/fit_separation.h"

namespace muster {
namespace {

constexpr int kIntercepts = 60;  // Newton passes on the intercept at most
constexpr double kUnit = 0x1p-53;

double norm(std::span<const double> x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  return std::sqrt(sum);
}

double ratio(double now, double allowed) {
  return allowed > 0 ? now / allowed : now > 0 ? std::numeric_limits<double>::infinity() : 0;
}

}  // namespace

FitProblem::FitProblem(FitContext& context)
    : context_(context),
      coordinates_(context.agreed, context.problem()),
      objective_(context.rows, context.problem().loss, coordinates_.scaling(), context.problem().intercept) {}

MapReduceOptions FitProblem::options() const {
  MapReduceOptions options;
  options.reduce = context_.request.options.run.reduce;
  options.penalty = coordinates_.penalty();
  options.l1 = coordinates_.l1();
  options.cancellation = context_.request.cancellation;
  options.max_seconds = context_.request.options.stop.max_seconds;
  return options;
}

std::optional<std::size_t> FitProblem::separating_column() {
  if (!logistic()) return std::nullopt;
  const ClassRanges ranges = agree_on_ranges(context_);
  return penalised() || context_.problem().l1 > 0 ? std::nullopt : find_separating_column(ranges, has_intercept());
}

std::vector<double> FitProblem::best_constant(MapReduce& map_reduce) {
  std::vector<double> v(dimension(), 0.0), gradient(dimension());
  if (has_intercept() && !logistic()) v[intercept()] = context_.agreed.target_centre;
  baseline_value_ = map_reduce.value_and_gradient(v, gradient);
  if (has_intercept() && logistic()) baseline_value_ = settle_intercept(map_reduce, v, baseline_value_, gradient);
  baseline_norm_ = norm(minimum_norm_subgradient(v, gradient, coordinates_.l1()));
  return v;
}

double FitProblem::settle_intercept(MapReduce& map_reduce, std::vector<double>& v, double value,
                                    std::vector<double>& gradient) const {
  for (int pass = 0; pass < kIntercepts; ++pass) {
    const double slope = gradient[intercept()];
    const double curvature = curvature_by_intercept(map_reduce.tallies(), map_reduce.weight());
    const double step = std::clamp(-slope / curvature, -2.0, 2.0);
    if (!(std::abs(slope) > 4 * kUnit) || v[intercept()] + step == v[intercept()]) break;
    v[intercept()] += step;
    value = map_reduce.value_and_gradient(v, gradient);
    if (std::abs(gradient[intercept()]) < 64 * kUnit) break;
  }
  return value;
}

double FitProblem::curvature_by_intercept(std::span<const double> tallies, double weight) const {
  return logistic() ? std::max(tallies[1] / weight, 1e-300) : 1;
}

double FitProblem::bound(std::span<const double> v, std::span<const double> gradient, double curvature) const {
  const std::vector<double> least = minimum_norm_subgradient(v, gradient, coordinates_.l1());
  double square = 0, by_intercept = 0;
  const std::vector<double>& factor = coordinates_.to_penalised();
  for (std::size_t i = 0; i < factor.size(); ++i) square += least[i] * factor[i] * (least[i] * factor[i]);
  for (std::size_t i = factor.size(); i < least.size(); ++i) by_intercept += least[i] * least[i];
  return square / (2 * context_.problem().l2) + by_intercept / curvature * (logistic() ? 1 : 0.5);
}

double FitProblem::tolerated(double value) const {
  return context_.request.options.stop.tolerance * std::max(std::abs(value), baseline_value_);
}

double FitProblem::gap(const RoundState& state, double curvature) const {
  if (penalised()) return ratio(bound(state.w, state.gradient, curvature), tolerated(state.value));
  return ratio(state.gradient_norm, context_.request.options.stop.tolerance * baseline_norm_);
}

double FitProblem::estimated_gap(const RoundReport& round) const {
  if (!penalised()) return ratio(round.gradient_norm, context_.request.options.stop.tolerance * baseline_norm_);
  return ratio(round.gradient_norm * round.gradient_norm / (2 * context_.problem().l2), tolerated(round.objective));
}

// What rounding leaves of a gradient: each entry is a mean of residual × scaled value, whose root mean square is 1; the
// residual itself carries the rounding of its margin.
double FitProblem::rounding_floor(const RoundState& state) const {
  const double size = logistic() ? 1 : std::sqrt(2 * std::abs(state.value));
  double margin = 0, shrunk = 0;
  for (std::size_t j = 0; j < state.w.size(); ++j) margin += std::abs(state.w[j]);
  for (std::size_t j = 0; j < state.w.size(); ++j) shrunk += std::abs(state.w[j]) * coordinates_.penalty()[j];
  const double each = largest_curvature(context_.problem().loss) * margin + size + shrunk;
  return kUnit * each * std::sqrt(static_cast<double>(state.w.size()));
}

Problem::Verdict FitProblem::judge(const RoundState& state, double curvature, double strictness) const {
  if (logistic() && !penalised() && context_.problem().l1 == 0 && state.round > 0 && state.tallies[0] == 0)
    return {true, StopReason::diverged,
            "every row is on its right side: the classes are separable and the minimiser does not exist; add a "
            "penalty with --l2"};
  if (gap(state, curvature) <= strictness)
    return {true, StopReason::converged,
            penalised() ? "the bound on f - f* met the tolerance" : "the gradient norm met the tolerance"};
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
  const double by_intercept = std::sqrt(2 * context_.problem().l2 / curvature * (logistic() ? 1 : 0.5));
  std::fill(estimate.scale.begin() + static_cast<std::ptrdiff_t>(factor.size()), estimate.scale.end(), by_intercept);
  estimate.met = [this](double value, double square) { return square <= 2 * context_.problem().l2 * tolerated(value); };
  return estimate;
}

}  // namespace muster
