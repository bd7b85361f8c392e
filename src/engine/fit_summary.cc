#include "engine/fit_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "base/double_double.h"
#include "data/reweighted_rows.h"
#include "engine/order_statistics.h"
#include "model/margins.h"
#include "solver/exact.h"

namespace muster {
namespace {

constexpr double kConfidence = 0.95;
constexpr double kShares[] = {0, 0.25, 0.5, 0.75, 1};
// Float64 statistics leave eight digits of a variance up to about this condition number.
constexpr double kWellConditioned = 1e6;

// Sums over all ranks, in double-double.
class Sums {
 public:
  explicit Sums(std::size_t count) : sums_(count) {}
  DoubleDouble& operator[](std::size_t i) { return sums_[i]; }
  std::vector<double> add_up(FitContext& context) const {
    std::vector<double> pairs;
    for (const DoubleDouble& sum : sums_) pairs.insert(pairs.end(), {sum.high, sum.low});
    context.add_up(pairs, ReduceOp::sum_double_double);
    std::vector<double> result;
    for (std::size_t i = 0; i < pairs.size(); i += 2) result.push_back(pairs[i] + pairs[i + 1]);
    return result;
  }

 private:
  std::vector<DoubleDouble> sums_;
};

// −log of the probability that the model gives to the row's class.
double surprise(double margin, double target) {
  const double against = target > 0.5 ? -margin : margin;
  return against > 0 ? against + std::log1p(std::exp(-against)) : std::log1p(std::exp(against));
}

class Summariser {
 public:
  Summariser(FitContext& context, const LinearModel& model, double baseline)
      : context_(context), model_(model), baseline_(baseline) {}

  std::optional<Summary> run(std::vector<std::string>& notes) {
    read_rows();
    solve();
    if (dependent_ > 0 || degrees_of_freedom() < 1) {
      notes.push_back(dependent_ > 0 ? "no summary: columns depend on others, so their coefficients have no standard "
                                       "errors; leave out some with --drop"
                                     : "no summary: there are as many coefficients as rows");
      return std::nullopt;
    }
    Summary summary;
    summary.confidence = kConfidence;
    summary.rows = rows_;
    summary.degrees_of_freedom = degrees_of_freedom();
    if (squared()) {
      describe_squared(summary);
    } else {
      describe_logistic(summary);
    }
    summary.residual_quantiles = quantiles(context_.endpoint(), residuals_, kShares);
    describe_coefficients(summary);
    return summary;
  }

 private:
  bool squared() const { return context_.problem().loss == Loss::squared; }
  std::int64_t parameters() const { return parameters_; }
  std::int64_t degrees_of_freedom() const { return rows_ - parameters(); }

  template <class Visit>  // visit(margin, target, weight), in the order of the rows
  void each_row(Visit visit) {
    std::size_t row = 0;
    context_.rows.each_target([&](double target, double weight) { visit(margins_[row++], target, weight); });
  }

  // Margins, then what is summed over rows and what is sorted.
  void read_rows() {
    margins_.resize(context_.rows.rows());
    context_.pass([this] {
      const std::unique_ptr<RowPass> pass = context_.rows.source().begin(1);
      std::size_t done = 0;
      for (const Shard* window = pass->next(); window != nullptr; window = pass->next()) {
        margins(model_.w, model_.intercepts[0], *window, std::span<double>(margins_).subspan(done, window->rows()));
        done += window->rows();
      }
      const auto entries = static_cast<double>(context_.rows.shape().entries);
      return Work{.bytes = context_.rows.shape().bytes(), .flops = 20 * entries};
    });
    enum : std::size_t { kRows, kWeight, kLogWeight, kLoss, kFitted, kCount };
    Sums sums(kCount);
    each_row([&](double margin, double target, double weight) {
      if (!(weight > 0)) return;
      const double residual = target - margin;
      sums[kRows] += 1;
      sums[kWeight] += weight;
      sums[kLogWeight] += std::log(weight);
      sums[kLoss] += squared() ? weight * residual * residual : weight * surprise(margin, target);
      sums[kFitted] += weight * margin;
      residuals_.push_back(squared() ? std::sqrt(weight) * residual
                                     : std::copysign(std::sqrt(2 * weight * surprise(margin, target)), target - 0.5));
    });
    const std::vector<double> total = sums.add_up(context_);
    rows_ = std::llround(total[kRows]);
    weight_ = total[kWeight];
    log_weights_ = total[kLogWeight];
    loss_ = total[kLoss];
    mean_fitted_ = context_.problem().intercept ? total[kFitted] / weight_ : 0;
    Sums spread(1);
    each_row([&](double margin, double, double weight) {
      spread[0] += weight * (margin - mean_fitted_) * (margin - mean_fitted_);
    });
    explained_ = spread.add_up(context_)[0];
    std::sort(residuals_.begin(), residuals_.end());
  }

  // I, and of its inverse what the coefficients ask for.
  void solve() {
    gather(Statistics::Precision::float64);
    if (agreed(solution_ && (!solution_->rank_is_certain || solution_->condition > kWellConditioned)))
      gather(Statistics::Precision::double_double);
    const std::size_t d = context_.columns();
    std::vector<double> found(d + 3, 0.0);  // variances over φ, of the columns and the intercept; then counts
    if (solution_) {
      found = variances(*solution_);
      found.push_back(static_cast<double>(solution_->active.size() - solution_->dependent.size()));
      found.push_back(static_cast<double>(solution_->dependent.size()));
    }
    context_.endpoint().broadcast(found, context_.speaker(), Deadline::never());
    parameters_ = std::llround(found[d + 1]) + (context_.problem().intercept ? 1 : 0);
    dependent_ = std::llround(found[d + 2]);
    found.resize(d + 1);
    variances_ = std::move(found);
  }

  bool agreed(bool mine) {
    double said = mine ? 1 : 0;
    context_.endpoint().broadcast({&said, 1}, context_.speaker(), Deadline::never());
    return said > 0;
  }

  void gather(Statistics::Precision precision) {
    Statistics statistics;
    statistics.columns = context_.columns();
    statistics.precision = precision;
    const AlignedVector<double>& means = context_.agreed.scaling.centre;
    statistics.centre.assign(means.begin(), means.end());
    statistics.centre.push_back(context_.agreed.target_centre);
    context_.pass([&] {
      if (squared()) return context_.rows.accumulate(statistics);
      std::vector<double> curvatures;
      each_row([&](double margin, double, double weight) {
        const double p = probability(margin);
        curvatures.push_back(weight * p * (1 - p));
      });
      ReweightedRows source(context_.rows.source(), std::move(curvatures));
      return context_.rows.over(source).accumulate(statistics);
    });
    const bool wide = precision == Statistics::Precision::double_double;
    context_.endpoint().reduce(statistics.sums, wide ? ReduceOp::sum_double_double : ReduceOp::sum, context_.speaker(),
                               Deadline::never());
    if (context_.endpoint().rank() != context_.speaker()) return;
    information_ = statistics.sums[0];
    solution_ = solve_exact(
        statistics, {.intercept = context_.problem().intercept, .between = [this] { context_.endpoint().progress(); }});
  }

  // I⁻¹'s diagonal in the user's units. w_j = u_j/σ_j; b = b' − Σ c_j w_j, b' being that of the centred columns.
  std::vector<double> variances(const ExactSolution& solution) const {
    const std::size_t d = context_.columns();
    const bool intercept = context_.problem().intercept;
    std::vector<double> result(d + 1, 0.0), direction(d + (intercept ? 1 : 0), 0.0);
    for (const std::size_t j : solution.active) {
      direction[j] = 1 / solution.scale[j];
      result[j] = solution.inverse_form(direction) / information_;
      direction[j] = 0;
    }
    if (!intercept) return result;
    direction[d] = 1;
    for (const std::size_t j : solution.active) direction[j] = -context_.agreed.scaling.centre[j] / solution.scale[j];
    result[d] = solution.inverse_form(direction) / information_;
    return result;
  }

  void describe_squared(Summary& summary) {
    const auto n = static_cast<double>(rows_), free = static_cast<double>(degrees_of_freedom());
    const std::int64_t slopes = parameters() - (context_.problem().intercept ? 1 : 0);
    summary.distribution = "t";
    dispersion_ = loss_ / free;
    summary.residual_standard_error = std::sqrt(dispersion_);
    const double total = explained_ + loss_;
    summary.r2 = total > 0 ? explained_ / total : 1;
    summary.adjusted_r2 = 1 - (1 - summary.r2) * (n - (context_.problem().intercept ? 1 : 0)) / free;
    if (slopes > 0) {
      summary.f_degrees_of_freedom = slopes;
      summary.f_statistic = explained_ / static_cast<double>(slopes) / dispersion_;
      if (std::isfinite(*summary.f_statistic)) {
        const boost::math::fisher_f distribution(static_cast<double>(slopes), free);
        summary.f_p_value = boost::math::cdf(boost::math::complement(distribution, *summary.f_statistic));
      } else {
        summary.f_p_value = 0;
      }
    }
    summary.log_likelihood =
        0.5 * (log_weights_ - n * (std::log(2 * std::numbers::pi) + 1 - std::log(n) + std::log(loss_)));
    summary.aic = 2 * static_cast<double>(parameters() + 1) - 2 * summary.log_likelihood;
  }

  void describe_logistic(Summary& summary) {
    summary.distribution = "z";
    summary.log_likelihood = -loss_;
    summary.aic = 2 * static_cast<double>(parameters()) - 2 * summary.log_likelihood;
    summary.residual_deviance = 2 * loss_;
    summary.null_deviance = 2 * weight_ * baseline_;
    summary.null_degrees_of_freedom = rows_ - (context_.problem().intercept ? 1 : 0);
  }

  void describe_coefficients(Summary& summary) const {
    const std::size_t d = context_.columns();
    if (context_.problem().intercept)
      summary.coefficients.push_back(describe("(intercept)", model_.intercepts[0], variances_[d]));
    for (std::size_t j = 0; j < d; ++j)
      if (context_.agreed.scaling.scale[j] > 0)
        summary.coefficients.push_back(describe(context_.name_of(j), model_.w[j], variances_[j]));
  }

  CoefficientSummary describe(std::string name, double estimate, double variance) const {
    CoefficientSummary result{std::move(name), estimate};
    result.standard_error = std::sqrt(dispersion_ * variance);
    result.statistic = estimate / result.standard_error;
    const auto by = [&](const auto& distribution) {
      const double size = std::abs(result.statistic);
      result.p_value = std::isfinite(size) ? 2 * boost::math::cdf(boost::math::complement(distribution, size)) : 0;
      const double reach = boost::math::quantile(boost::math::complement(distribution, (1 - kConfidence) / 2));
      result.lower = estimate - reach * result.standard_error;
      result.upper = estimate + reach * result.standard_error;
    };
    if (squared()) {
      by(boost::math::students_t(static_cast<double>(degrees_of_freedom())));
    } else {
      by(boost::math::normal());
    }
    return result;
  }

  FitContext& context_;
  const LinearModel& model_;
  const double baseline_;
  std::vector<double> margins_, residuals_;  // of this rank's rows; sorted, of those of weight above 0
  std::int64_t rows_ = 0, parameters_ = 0, dependent_ = 0;
  double weight_ = 0, log_weights_ = 0, loss_ = 0, mean_fitted_ = 0, explained_ = 0, dispersion_ = 1;
  std::optional<ExactSolution> solution_;  // of I; on the speaker
  double information_ = 0;                 // Σ s h; likewise
  std::vector<double> variances_;          // over φ, by column, then the intercept's
};

}  // namespace

std::optional<Summary> summarise(FitContext& context, const LinearModel& model, double baseline,
                                 std::vector<std::string>& notes) {
  return Summariser(context, model, baseline).run(notes);
}

}  // namespace muster
