#include "engine/fit_iterative.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>

#include "engine/fit_coordinates.h"
#include "engine/fit_separation.h"
#include "solver/gd.h"
#include "solver/lbfgs.h"
#include "train/mapreduce.h"

namespace muster {
namespace {

constexpr int kIntercepts = 60;  // Newton passes on the intercept at most
constexpr int kAttempts = 12;    // returns to the solver after the last bound was not yet met
constexpr double kUnit = 0x1p-53;

double norm(std::span<const double> x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  return std::sqrt(sum);
}

class IterativeTrainer {
 public:
  IterativeTrainer(FitContext& context, SolverChoice solver)
      : context_(context),
        solver_(solver),
        coordinates_(context.agreed, context.problem()),
        objective_(context.rows, context.problem().loss, coordinates_.scaling(), context.problem().intercept),
        map_reduce_(objective_, context.endpoint, options()),
        logistic_(context.problem().loss == Loss::logistic),
        gradient_(coordinates_.dimension()) {}

  Trained run() {
    Trained trained;
    trained.solver = solver_ == SolverChoice::lbfgs ? "lbfgs" : "gd";
    std::vector<double> v(coordinates_.dimension(), 0.0);
    if (const auto column = separating_column()) {
      // Nothing to iterate for: along this column the objective falls for ever.
      best_constant(v);
      trained.reason = StopReason::diverged;
      trained.detail =
          fmt::format("column '{}' alone separates the classes: the minimiser does not exist; add a penalty with --l2",
                      context_.name_of(*column));
    } else {
      best_constant(v);
      descend(context_.request.start ? coordinates_.from_user(*context_.request.start) : v, trained, v);
    }
    trained.model = coordinates_.to_user(v);
    trained.history = map_reduce_.rounds();
    trained.baseline = baseline_value_;
    trained.curvature_by_intercept = curvature_by_intercept();
    context_.compute_seconds += map_reduce_.compute_seconds();
    return trained;
  }

 private:
  MapReduceOptions options() {
    MapReduceOptions options;
    options.penalty = coordinates_.penalty();
    options.cancellation = context_.request.cancellation;
    options.max_seconds = context_.request.options.stop.max_seconds;
    options.judge = [this](const RoundState& state) { return judge(state); };
    options.on_round = [this](const RoundReport& report, const RoundState& state) { observe(report, state); };
    return options;
  }

  bool penalised() const { return context_.problem().l2 > 0; }
  std::size_t intercept() const { return context_.columns(); }  // its coordinate

  std::optional<std::size_t> separating_column() {
    if (!logistic_) return std::nullopt;
    const ClassRanges ranges = agree_on_ranges(context_);
    return penalised() ? std::nullopt : find_separating_column(ranges, context_.problem().intercept);
  }

  // The best constant model, v = 0 and b*, and what the stopping rules compare with there. Squared loss: the mean.
  // Logistic: Newton's method in one dimension, started where the loss is most curved; each step at most 2, so that no
  // step leaves the region where it helps.
  void best_constant(std::vector<double>& v) {
    if (context_.problem().intercept && !logistic_) v[intercept()] = context_.agreed.target_centre;
    baseline_value_ = map_reduce_.value_and_gradient(v, gradient_);
    if (context_.problem().intercept && logistic_) baseline_value_ = settle_intercept(v, baseline_value_);
    baseline_norm_ = norm(gradient_);
  }

  // Moves b until ∂f/∂b is rounding only. gradient_ and the value are those at v, before and after.
  double settle_intercept(std::vector<double>& v, double value) {
    for (int pass = 0; pass < kIntercepts; ++pass) {
      const double slope = gradient_[intercept()];
      const double step = std::clamp(-slope / curvature_by_intercept(), -2.0, 2.0);
      if (!(std::abs(slope) > 4 * kUnit) || v[intercept()] + step == v[intercept()]) break;
      v[intercept()] += step;
      value = map_reduce_.value_and_gradient(v, gradient_);
      if (std::abs(gradient_[intercept()]) < 64 * kUnit) break;
    }
    return value;
  }

  // ∂²f/∂b² at the point last evaluated.
  double curvature_by_intercept() const {
    if (!logistic_) return 1;
    return std::max(map_reduce_.tallies()[1] / map_reduce_.weight(), 1e-300);
  }

  // Runs the solver; where its estimated bound says stop, removes what is left in the intercept's direction and checks
  // the bound that then holds; goes on with a stricter estimate where it does not.
  void descend(std::vector<double> start, Trained& trained, std::vector<double>& v) {
    v = std::move(start);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      SolverResult result = solve(std::move(v), trained.rounds);
      v = std::move(result.w);
      trained.rounds += result.rounds;
      trained.reason = result.reason;
      trained.detail = result.detail;
      const bool estimated = result.reason == StopReason::converged && met_bound_;
      if (!estimated || !logistic_ || !context_.problem().intercept) return;
      const double value = settle_intercept(v, map_reduce_.value_and_gradient(v, gradient_));
      if (bound(gradient_) <= tolerated(value)) return;
      strictness_ /= 4;
      met_bound_ = false;
    }
  }

  SolverResult solve(std::vector<double> start, std::int64_t first_round) {
    const std::int64_t max_rounds = context_.request.options.stop.max_rounds;
    if (solver_ == SolverChoice::lbfgs)
      return minimise_lbfgs(map_reduce_, std::move(start), {.max_rounds = max_rounds, .first_round = first_round});
    return minimise_gd(
        map_reduce_, std::move(start),
        {.max_rounds = max_rounds, .seed = context_.request.options.run.seed, .first_round = first_round});
  }

  // Bound on f − f* by strong convexity of F(w) = min_b f(w, b) in the coordinates of the penalty; with the part that
  // the intercept still has to give: exact for the squared loss, for logistic loss twice its estimate.
  double bound(std::span<const double> gradient) const {
    double square = 0;
    for (std::size_t j = 0; j < context_.columns(); ++j) {
      const double g = gradient[j] * coordinates_.to_penalised(j);
      square += g * g;
    }
    double result = square / (2 * context_.problem().l2);
    if (context_.problem().intercept) {
      const double slope = gradient[intercept()];
      result += slope * slope / curvature_by_intercept() * (logistic_ ? 1 : 0.5);
    }
    return result;
  }

  double tolerated(double value) const {
    return context_.request.options.stop.tolerance * std::max(std::abs(value), baseline_value_);
  }

  // Gap to the stopping rule: at most 1 is converged.
  double gap(const RoundState& state) const {
    if (penalised()) {
      const double allowed = tolerated(state.value), now = bound(state.gradient);
      return allowed > 0 ? now / allowed : now > 0 ? std::numeric_limits<double>::infinity() : 0;
    }
    const double allowed = context_.request.options.stop.tolerance * baseline_norm_;
    return allowed > 0               ? state.gradient_norm / allowed
           : state.gradient_norm > 0 ? std::numeric_limits<double>::infinity()
                                     : 0;
  }

  // What rounding leaves of a gradient: each entry is a mean of residual × scaled value, whose root mean square is 1;
  // the residual itself carries the rounding of its margin.
  double rounding_floor(const RoundState& state) const {
    const double size = logistic_ ? 1 : std::sqrt(2 * std::abs(state.value));
    double margin = 0, shrunk = 0;
    for (std::size_t j = 0; j < state.w.size(); ++j) margin += std::abs(state.w[j]);
    for (std::size_t j = 0; j < context_.columns(); ++j)
      if (coordinates_.to_penalised(j) > 0) shrunk += std::abs(state.w[j]) * coordinates_.penalty()[j];
    const double each = largest_curvature(context_.problem().loss) * margin + size + shrunk;
    return kUnit * each * std::sqrt(static_cast<double>(state.w.size()));
  }

  Problem::Verdict judge(const RoundState& state) {
    if (logistic_ && !penalised() && state.round > 0 && state.tallies[0] == 0)
      return {true, StopReason::diverged,
              "every row is on its right side: the classes are separable and the minimiser does not exist; add a "
              "penalty with --l2"};
    if (gap(state) <= (penalised() ? strictness_ : 1)) {
      met_bound_ = penalised();
      return {true, StopReason::converged,
              penalised() ? "the bound on f - f* met the tolerance" : "the gradient norm met the tolerance"};
    }
    if (state.gradient_norm <= rounding_floor(state))
      return {true, StopReason::converged, "at the rounding floor: the gradient is rounding only"};
    return {};
  }

  void observe(const RoundReport& report, const RoundState& state) {
    const FitRequest& request = context_.request;
    if (request.on_round) request.on_round(report, gap(state));
    if (request.wants_checkpoint && request.wants_checkpoint())
      request.save_checkpoint(report.round, coordinates_.to_user(state.w));
  }

  FitContext& context_;
  SolverChoice solver_;
  Coordinates coordinates_;
  LinearObjective objective_;
  MapReduce map_reduce_;
  bool logistic_;
  std::vector<double> gradient_;
  double baseline_value_ = 0, baseline_norm_ = 0;
  double strictness_ = 1;
  bool met_bound_ = false;
};

}  // namespace

Trained fit_iterative(FitContext& context, SolverChoice solver) {
  return IterativeTrainer(context, solver).run();
}

}  // namespace muster
