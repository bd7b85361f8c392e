#include "engine/fit_certificate.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/double_double.h"
#include "engine/fit_intercepts.h"
#include "engine/fit_l1_bound.h"

namespace muster {
namespace {

// The least element of slope + λ1·∂|w|.
double least_slope(double slope, double w, double lambda1) {
  if (w != 0) return slope + std::copysign(lambda1, w);
  return std::copysign(std::max(std::abs(slope) - lambda1, 0.0), slope);
}

// f's data part and minimum-norm subgradient at a model, by u_j = scale_j w_j with the centred columns held, then by
// the intercepts.
struct Evaluation {
  double loss = 0;  // data part of f
  double objective = 0;
  std::vector<double> slopes;  // ∂(data part)/∂w_j in the user's units, for the columns held
  std::vector<double> gradient;
  double gradient_norm = 0;
};

// The sums of LinearRows::certify over all rows, for the columns held.
std::vector<double> certified_sums(FitContext& context, const LinearModel& model) {
  const Loss loss = context.problem().loss;
  const AlignedVector<double>& centre = context.agreed.scaling.centre;
  const std::size_t outputs = context.outputs();
  std::vector<double> sums(2 * (1 + outputs + context.columns() * outputs));
  if (context.columns_are_cut()) {
    std::vector<double> margins(2 * context.rows.rows() * outputs), intercepts(outputs, 0.0);
    if (context.holds_intercept()) intercepts = model.intercepts;
    context.pass([&] { return context.rows.certify_margins(model.w, intercepts, margins); });
    context.sum_over_columns(margins, ReduceOp::sum_double_double);
    context.pass([&] { return context.rows.certify_at(loss, outputs, margins, centre, sums); });
  } else {
    context.pass([&] { return context.rows.certify(loss, model.w, model.intercepts, centre, sums); });
  }
  context.add_up(sums, ReduceOp::sum_double_double);
  context.agree_over_columns({sums.data(), 2});  // the loss, which every block has
  return sums;
}

Evaluation evaluate_rows(FitContext& context, const LinearModel& model) {
  const std::size_t d = context.columns(), outputs = context.outputs();
  const Scaling& scaling = context.agreed.scaling;
  const std::vector<double> sums = certified_sums(context, model);
  const auto mean = [&](std::size_t i) { return DoubleDouble(sums[2 * i], sums[2 * i + 1]) / context.agreed.weight; };
  Evaluation result;
  result.gradient.assign((d + (context.holds_intercept() ? 1 : 0)) * outputs, 0.0);
  DoubleDouble penalty = 0, square = 0;
  result.slopes.assign(d * outputs, 0.0);
  for (std::size_t i = 0; i < d * outputs; ++i) {
    const std::size_t j = i / outputs;
    if (scaling.scale[j] == 0) continue;
    const DoubleDouble by_rows = mean(1 + outputs + i);
    result.slopes[i] = static_cast<double>(by_rows);
    const DoubleDouble slope = by_rows + two_product(context.lambda(j), model.w[i]);
    penalty += two_product(model.w[i], model.w[i]) * (context.lambda(j) * 0.5);
    penalty += context.lambda1(j) * std::abs(model.w[i]);
    result.gradient[i] = least_slope(static_cast<double>(slope), model.w[i], context.lambda1(j)) / scaling.scale[j];
  }
  for (std::size_t k = 0; k < outputs && context.holds_intercept(); ++k)
    result.gradient[d * outputs + k] = static_cast<double>(mean(1 + k));
  for (double g : result.gradient) square += two_product(g, g);
  double pairs[] = {penalty.high, penalty.low, square.high, square.low};
  context.sum_over_columns(pairs, ReduceOp::sum_double_double);
  penalty = DoubleDouble(pairs[0], pairs[1]);
  square = DoubleDouble(pairs[2], pairs[3]);
  result.gradient_norm = std::sqrt(static_cast<double>(square));
  result.loss = static_cast<double>(mean(0));
  result.objective = static_cast<double>(mean(0) + penalty);
  return result;
}

// |∂f/∂b|², wherever it is held.
double square_by_intercepts(FitContext& context, const Evaluation& at) {
  double square = 0;
  for (std::size_t i = at.slopes.size(); i < at.gradient.size(); ++i) square += at.gradient[i] * at.gradient[i];
  context.sum_over_columns({&square, 1});
  return square;
}

// |∇F|²/(2 λ2) for F(w) = min_b f(w, b), in the coordinates in which the penalty is (λ2/2)|·|².
double strong_convexity_bound(FitContext& context, const Evaluation& at) {
  double square = 0;
  for (std::size_t i = 0; i < at.slopes.size(); ++i) {
    const double scale = context.agreed.scaling.scale[i / context.outputs()];
    const double g = at.gradient[i] * (context.problem().standardize ? 1 : scale);
    square += g * g;
  }
  context.sum_over_columns({&square, 1});
  return square / (2 * context.problem().l2);
}

double l1_bound(FitContext& context, const Evaluation& at, std::span<const double> w, double turned) {
  L1Bound bound(turned);
  for (std::size_t i = 0; i < w.size(); ++i) {
    const std::size_t j = i / context.outputs();
    const double scale = context.agreed.scaling.scale[j];
    if (scale > 0) bound.add(w[i] * scale, at.slopes[i] / scale, context.lambda1(j) / scale);
  }
  return bound.above_optimum(context, at.objective);
}

// Where there is a penalty; with what f has above its least along the intercepts.
double bound_by_penalty(FitContext& context, const Evaluation& at, const Trained& trained) {
  const Loss loss = context.problem().loss;
  const double square = square_by_intercepts(context, at), curvature = trained.curvature_by_intercept;
  return left_to_intercepts(loss, square, curvature) +
         (context.problem().l2 > 0
              ? strong_convexity_bound(context, at)
              : l1_bound(context, at, trained.model.w, turned_by_intercepts(loss, square, curvature)));
}

// Mean square of the targets around their mean, over all workers; 0 where that is rounding only.
double spread_of_targets(FitContext& context) {
  constexpr double kRounding = 1e-28;
  // Known where it is that of t, around a mean.
  if (context.problem().intercept && context.request.data.encoding.offset.empty()) return context.agreed.target_square;
  const double centre = context.agreed.target_centre;  // near their mean; what it is off by is taken off
  DoubleDouble sum = 0, square = 0;
  context.rows.each_target([&](double y, double s) {
    const DoubleDouble z = two_sum(y, -centre);
    sum += z * s;
    square += z * z * s;
  });
  double pairs[] = {sum.high, sum.low, square.high, square.low};
  context.add_up(pairs, ReduceOp::sum_double_double);
  const DoubleDouble mean = DoubleDouble(pairs[0], pairs[1]) / context.agreed.weight;
  const DoubleDouble squares = DoubleDouble(pairs[2], pairs[3]) / context.agreed.weight;
  const DoubleDouble spread = squares - mean * mean;
  return spread.high > kRounding * squares.high ? static_cast<double>(spread) : 0.0;
}

// As FNV-1a, a value and not a byte at a time, and with the high bits brought down.
std::uint64_t hash_of(std::span<const double> values) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (double value : values) {
    hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 0x100000001b3;
    hash ^= hash >> 32;
  }
  return hash;
}

Certificate begin_certificate(FitContext& context, const Trained& trained, double loss, double objective) {
  Certificate certificate;
  certificate.objective = objective;
  certificate.relative_target = std::max(std::abs(objective), trained.baseline);
  certificate.rows_read = context.request.data.summary.rows_read - context.rows_lost;
  certificate.rows_in_files = context.request.data.summary.rows_in_files;
  std::vector<double> mine = trained.model.w;
  mine.insert(mine.end(), trained.model.intercepts.begin(), trained.model.intercepts.end());
  compare_ranks(context.grid().over_rows, mine, certificate);
  double worst[] = {certificate.same_model_on_all_ranks ? 0.0 : 1.0, certificate.consensus_distance};
  context.sum_over_columns(worst, ReduceOp::max);
  certificate.same_model_on_all_ranks = worst[0] == 0;
  certificate.consensus_distance = worst[1];
  if (context.problem().loss == Loss::squared) {
    certificate.training_rmse = std::sqrt(2 * std::max(0.0, loss));
    const double spread = spread_of_targets(context);
    if (spread > 0) certificate.training_r2 = 1 - 2 * loss / spread;
  }
  return certificate;
}

Certificate begin_from_rows(FitContext& context, const Trained& trained, const Evaluation& at) {
  Certificate certificate = begin_certificate(context, trained, at.loss, at.objective);
  certificate.gradient_norm = at.gradient_norm;
  certificate.computed_from = "rows";
  return certificate;
}

// By all columns, at the lowest living rank; where columns are cut not everywhere else.
std::vector<double> whole_gradient(FitContext& context, const Evaluation& at) {
  if (!context.columns_are_cut()) return at.gradient;
  double by_intercept = context.holds_intercept() ? at.gradient.back() : 0;
  context.sum_over_columns({&by_intercept, 1});
  std::vector<double> by_column(at.gradient.begin(),
                                at.gradient.begin() + static_cast<std::ptrdiff_t>(context.columns()));
  std::vector<double> whole = context.division()->gather_columns(std::move(by_column), 1);
  if (context.problem().intercept) whole.push_back(by_intercept);
  return whole;
}

// solution: at the lowest living rank.
void bound_by_decrement(FitContext& context, const std::optional<ExactSolution>& solution, const Evaluation& at,
                        Certificate& certificate) {
  const std::vector<double> gradient = whole_gradient(context, at);
  double bound = solution ? solution->newton_decrement(gradient, 0) : 0;
  context.endpoint().broadcast({&bound, 1}, context.speaker(), Deadline::never());
  certificate.suboptimality_bound = bound;
  certificate.bound_source = "newton decrement";
}

}  // namespace

void compare_ranks(Endpoint& endpoint, std::span<const double> mine, Certificate& certificate) {
  const std::uint64_t hash = hash_of(mine);
  std::vector<double> first(mine.begin(), mine.end());
  endpoint.broadcast(first, endpoint.members().front(), Deadline::never());
  double square = 0;
  for (std::size_t j = 0; j < mine.size(); ++j) square += (mine[j] - first[j]) * (mine[j] - first[j]);
  const auto low = static_cast<double>(hash & 0xffffffff), high = static_cast<double>(hash >> 32);
  double largest[] = {low, -low, high, -high, std::sqrt(square)};
  endpoint.allreduce(largest, ReduceOp::max, Deadline::never());
  certificate.same_model_on_all_ranks = largest[0] == -largest[1] && largest[2] == -largest[3];
  certificate.consensus_distance = largest[4];
}

Certificate certify_from_rows(FitContext& context, const ExactFit& exact) {
  const Evaluation at = evaluate_rows(context, exact.trained.model);
  Certificate certificate = begin_from_rows(context, exact.trained, at);
  bound_by_decrement(context, exact.solution, at, certificate);
  certificate.digits = exact.digits;
  return certificate;
}

Certificate certify_from_rows(FitContext& context, const Trained& trained, const ColumnFacts& facts) {
  const Evaluation at = evaluate_rows(context, trained.model);
  Certificate certificate = begin_from_rows(context, trained, at);
  const ProblemOptions& problem = context.problem();
  if (problem.l2 > 0 || problem.l1 > 0) {
    certificate.suboptimality_bound = bound_by_penalty(context, at, trained);
    certificate.bound_source = problem.l2 > 0 ? "strong convexity" : "duality gap";
  } else if (facts.known && problem.loss == Loss::squared) {
    bound_by_decrement(context, facts.solution, at, certificate);
  } else {
    certificate.bound_source = "without a penalty (--l2) gradients give no bound";
  }
  return certificate;
}

Certificate certify_from_statistics(FitContext& context, const ExactFit& exact) {
  double penalty = 0;
  for (std::size_t j = 0; j < context.columns(); ++j)
    penalty += context.lambda(j) * exact.trained.model.w[j] * exact.trained.model.w[j];
  Certificate certificate = begin_certificate(context, exact.trained, exact.objective - penalty / 2, exact.objective);
  certificate.gradient_norm = exact.gradient_norm;
  certificate.computed_from = "statistics";
  certificate.suboptimality_bound = exact.suboptimality;
  certificate.bound_source = "newton decrement";
  certificate.digits = exact.digits;
  return certificate;
}

}  // namespace muster
