#include "solver/exact.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {
namespace {

// A column whose distance from the span of the others, relative to its own length, is below 1e-13 is dependent: columns
// rounded to double that should be combinations of each other come out near 1e-16, and the hardest independent ones
// known to us (Filip's powers) above 1e-10. The pivot is the square of that distance. Float64 statistics know a pivot
// to some 1e-14 only; what they find dependent is therefore called uncertain.
constexpr double kPivotDoubleDouble = 1e-26;
constexpr double kPivotFloat64 = 1e-14;

// How far an entry of the statistics may be wrong, relative to the lengths of its two columns around the statistics'
// centre: a few roundings of blocked sums.
constexpr double kRoundingFloat64 = 4 * 0x1p-53;
constexpr double kRoundingDoubleDouble = 16 * 0x1p-106;

// Coefficients below this part of the largest, in scaled coordinates, are measured against it and not against
// themselves: a coefficient that is zero in truth has no correct digits.
constexpr double kSmallCoefficient = 1e-3;
constexpr double kDigitsOfDouble = 15.95;

class Moments {
 public:
  explicit Moments(const Statistics& statistics) : statistics_(statistics), order_(statistics.order()) {
    const std::size_t width = statistics.precision == Statistics::Precision::double_double ? 2 : 1;
    MUSTER_CHECK(statistics.sums.size() == width * statistics.entries(), "statistics of another size");
    MUSTER_CHECK(statistics.centre.size() == statistics.columns + 1, "statistics without their centre");
  }

  DoubleDouble at(std::size_t i, std::size_t j) const {
    if (i > j) std::swap(i, j);
    const std::size_t entry =
        i * order_ - i * (i - 1) / 2 + (j - i);  // i = 0: the middle term is 0 in wrapped arithmetic
    if (statistics_.precision == Statistics::Precision::float64) return statistics_.sums[entry];
    return {statistics_.sums[2 * entry], statistics_.sums[2 * entry + 1]};
  }
  double centre(std::size_t i) const { return statistics_.centre[i - 1]; }  // of z_i, i >= 1
  std::size_t columns() const { return statistics_.columns; }
  std::size_t target() const { return order_ - 1; }
  double rounding() const {
    return statistics_.precision == Statistics::Precision::float64 ? kRoundingFloat64 : kRoundingDoubleDouble;
  }

 private:
  const Statistics& statistics_;
  std::size_t order_;
};

class Builder {
 public:
  Builder(const Statistics& statistics, const ExactOptions& options)
      : moments_(statistics), options_(options), weight_(moments_.at(0, 0)) {
    MUSTER_CHECK(weight_.high > 0, "statistics of no rows");
    if (!options.intercept)
      for (double c : statistics.centre) MUSTER_CHECK(c == 0, "without an intercept the statistics are not centred");
    const std::size_t d = moments_.columns();
    sigma_.resize(d);
    lambda_.resize(d);
    scaling_.resize(d);
    for (std::size_t j = 0; j < d; ++j) scale_column(j);
    rounding_ = moments_.rounding() * lost_by_centring();
  }

  template <class T>
  ExactSolution solve(double pivot_tolerance) {
    out_.w.assign(moments_.columns(), 0.0);
    PivotedCholesky<T> c = factorise(system<T>(), out_.active.size(), pivot_tolerance, options_.between);
    const std::vector<T> u = scaled_solution(c);
    keep_factor(std::move(c));
    to_user_units(u);
    describe_accuracy(u);
    evaluate();
    return std::move(out_);
  }

  ExactSolution refine(ExactSolution from, std::span<const double> sums) {
    const std::size_t d = moments_.columns();
    MUSTER_CHECK(from.wide_factor && sums.size() == 2 * (d + 1), "a solution in double-double and its d + 1 sums");
    out_ = std::move(from);
    const DoubleDouble by_intercept = options_.intercept ? DoubleDouble(sums[0], sums[1]) / weight_ : DoubleDouble(0.0);
    std::vector<DoubleDouble> right(out_.active.size());
    for (std::size_t i = 0; i < right.size(); ++i) {
      const std::size_t j = out_.active[i];
      const DoubleDouble slope = DoubleDouble(sums[2 * j + 2], sums[2 * j + 3]) / weight_ + lambda_[j] * out_.w[j];
      right[i] = -(scaling_[j] * (slope / sigma_[j] - shift(j) * by_intercept));
    }
    const auto step = solve_minimum_norm<DoubleDouble>(*out_.wide_factor, right, out_.equilibration);
    DoubleDouble intercept = DoubleDouble(out_.intercept) - by_intercept;
    for (std::size_t i = 0; i < right.size(); ++i) {
      const std::size_t j = out_.active[i];
      const DoubleDouble change = scaling_[j] * step[i];  // of u_j
      if (options_.intercept) intercept -= mean(j + 1) * change / sigma_[j];
      out_.w[j] = static_cast<double>(DoubleDouble(out_.w[j]) + change / sigma_[j]);
    }
    out_.intercept = static_cast<double>(intercept);
    out_.digits = std::max(out_.digits, std::min(2 * out_.digits, out_.refined_digits));
    evaluate();
    return std::move(out_);
  }

 private:
  DoubleDouble centred(std::size_t i, std::size_t j) const {
    if (!options_.intercept) return moments_.at(i, j);
    return moments_.at(i, j) - moments_.at(0, i) * moments_.at(0, j) / weight_;
  }

  void scale_column(std::size_t j) {
    const DoubleDouble square = centred(j + 1, j + 1);
    // Below this, what is left after centring is rounding of the centre and of the sums.
    const double noise = 4 * moments_.rounding() * moments_.at(j + 1, j + 1).high +
                         std::pow(0x1p-52 * moments_.centre(j + 1), 2) * weight_.high;
    if (!(square.high > noise)) {
      out_.constant.push_back(j);
      return;
    }
    sigma_[j] = sqrt(square / weight_);
    lambda_[j] = options_.standardize ? options_.l2 * (square / weight_) : DoubleDouble(options_.l2);
    scaling_[j] = DoubleDouble(1.0) / sqrt(DoubleDouble(1.0) + lambda_[j] / (sigma_[j] * sigma_[j]));
    out_.active.push_back(j);
  }

  // Largest square around the centre, over that around the mean.
  double lost_by_centring() const {
    double most = 1;
    const auto see = [&](std::size_t i) {
      const double around_mean = centred(i, i).high;
      if (around_mean > 0) most = std::max(most, moments_.at(i, i).high / around_mean);
    };
    for (const std::size_t j : out_.active) see(j + 1);
    see(moments_.target());
    return most;
  }

  DoubleDouble shift(std::size_t j) const { return moments_.at(0, j + 1) / (weight_ * sigma_[j]); }

  // The lower triangle of E A E, row-major; fills equilibration.
  template <class T>
  std::vector<T> system() {
    const std::vector<std::size_t>& active = out_.active;
    const std::size_t n = active.size();
    std::vector<T> matrix(n * n);
    std::vector<DoubleDouble> right(n);
    for (std::size_t i = 0; i < n; ++i) right[i] = scaling_[active[i]] / sigma_[active[i]];
    out_.equilibration.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const DoubleDouble left = scaling_[active[i]] / (sigma_[active[i]] * weight_);
      out_.equilibration[i] = static_cast<double>(scaling_[active[i]]);
      for (std::size_t j = 0; j < i; ++j)
        matrix[i * n + j] = narrow<T>(centred(active[i] + 1, active[j] + 1) * left * right[j]);
      matrix[i * n + i] = T(1.0);
    }
    return matrix;
  }

  template <class T>
  static T narrow(DoubleDouble value) {
    if constexpr (std::is_same_v<T, double>) {
      return static_cast<double>(value);
    } else {
      return value;
    }
  }

  // u, in the order of `active`.
  template <class T>
  std::vector<T> scaled_solution(const PivotedCholesky<T>& c) const {
    const std::size_t n = out_.active.size();
    std::vector<T> right(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t j = out_.active[i];
      right[i] = narrow<T>(scaling_[j] * centred(j + 1, moments_.target()) / (sigma_[j] * weight_));
    }
    std::vector<T> u = solve_minimum_norm<T>(c, right, out_.equilibration);
    for (std::size_t i = 0; i < n; ++i) u[i] *= narrow<T>(scaling_[out_.active[i]]);
    return u;
  }

  template <class T>
  void keep_factor(PivotedCholesky<T> c) {
    for (std::size_t k = c.rank; k < c.order; ++k) out_.dependent.push_back(out_.active[c.pivots[k]]);
    std::sort(out_.dependent.begin(), out_.dependent.end());
    out_.rank_is_certain = std::is_same_v<T, DoubleDouble> || c.rank == c.order;
    if constexpr (std::is_same_v<T, double>) {
      out_.factor = std::move(c);
    } else {
      out_.factor = {c.order, c.rank, c.pivots, std::vector<double>(c.factor.size())};
      std::transform(c.factor.begin(), c.factor.end(), out_.factor.factor.begin(),
                     [](const T& value) { return static_cast<double>(value); });
      out_.wide_factor = std::move(c);
    }
  }

  template <class T>
  void to_user_units(const std::vector<T>& u) {
    DoubleDouble intercept = 0;
    if (options_.intercept) intercept = mean(moments_.target());
    for (std::size_t i = 0; i < u.size(); ++i) {
      const std::size_t j = out_.active[i];
      const DoubleDouble w = DoubleDouble(u[i]) / sigma_[j];
      if (options_.intercept) intercept -= mean(j + 1) * w;
      out_.w[j] = static_cast<double>(w);
    }
    out_.intercept = static_cast<double>(intercept);
  }

  DoubleDouble mean(std::size_t i) const { return DoubleDouble(moments_.centre(i)) + moments_.at(0, i) / weight_; }

  // First-order error bound of A u = a: |δu| <= ε(|u|₁ + |t|/√S) |A⁻¹| e, for each coefficient and for the intercept.
  template <class T>
  void describe_accuracy(const std::vector<T>& u) {
    const std::size_t n = u.size(), r = out_.factor.rank;
    std::vector<double> size(n);
    for (std::size_t i = 0; i < n; ++i) size[i] = std::abs(static_cast<double>(u[i])) / out_.equilibration[i];
    const double largest = n ? *std::max_element(size.begin(), size.end()) : 0;
    out_.inverse_norm = one_norm_of_inverse({});
    out_.condition = std::max(1.0, out_.inverse_norm * norm_of_system());
    double amount = std::sqrt(std::max(0.0, centred(moments_.target(), moments_.target()).high / weight_.high));
    for (double value : size) amount += value;
    out_.digits = out_.refined_digits = kDigitsOfDouble;
    if (!(largest > 0)) return;
    std::vector<double> relative_to(r);
    for (std::size_t k = 0; k < r; ++k)
      relative_to[k] = 1 / std::max(size[out_.factor.pivots[k]], kSmallCoefficient * largest);
    double error = rounding_ * amount * one_norm_of_inverse(relative_to);
    if (options_.intercept) error = std::max(error, rounding_ * amount * intercept_sensitivity());
    out_.digits = std::clamp(-std::log10(error), 0.0, kDigitsOfDouble);
    const double weakest = *std::max_element(relative_to.begin(), relative_to.end());
    const double refined = rounding_ * amount * weakest * std::sqrt(std::max(1.0, out_.inverse_norm));
    out_.refined_digits = std::clamp(-std::log10(refined), 0.0, kDigitsOfDouble);
  }

  // |A11⁻¹ D|₁ = |D A11⁻¹|∞ with D = diag(relative_to); D = I where that is empty.
  double one_norm_of_inverse(const std::vector<double>& relative_to) const {
    const auto weigh = [&](std::span<double> x) {
      for (std::size_t k = 0; k < relative_to.size(); ++k) x[k] *= relative_to[k];
    };
    const auto apply = [&](std::span<double> x) {
      weigh(x);
      solve_factored(out_.factor, x);
    };
    const auto apply_transposed = [&](std::span<double> x) {
      solve_factored(out_.factor, x);
      weigh(x);
    };
    return estimate_one_norm(out_.factor.rank, apply, apply_transposed);
  }

  double norm_of_system() const {
    const PivotedCholesky<double>& c = out_.factor;
    const auto apply = [&](std::span<double> x) {  // L11 (L11ᵀ x)
      for (std::size_t k = 0; k < c.rank; ++k) {
        double sum = 0;
        for (std::size_t i = k; i < c.rank; ++i) sum += c.at(i, k) * x[i];
        x[k] = sum;
      }
      for (std::size_t i = c.rank; i-- > 0;) {
        double sum = 0;
        for (std::size_t k = 0; k <= i; ++k) sum += c.at(i, k) * x[k];
        x[i] = sum;
      }
    };
    return estimate_one_norm(c.rank, apply, apply);
  }

  // How much of a relative error in u the intercept b = mean(t) − Σ mean_j w_j can show, relative to b.
  double intercept_sensitivity() const {
    const PivotedCholesky<double>& c = out_.factor;
    std::vector<double> x(c.rank);
    double largest = std::abs(static_cast<double>(mean(moments_.target())));
    for (std::size_t k = 0; k < c.rank; ++k) {
      const std::size_t i = c.pivots[k], j = out_.active[i];
      const double column_mean = static_cast<double>(mean(j + 1));
      x[k] = out_.equilibration[i] * column_mean / sigma_[j].high;
      largest = std::max(largest, std::abs(column_mean * out_.w[j]));
    }
    solve_factored(c, std::span<double>(x));
    double sum = 0;
    for (double value : x) sum += std::abs(value);
    const double against = std::max(std::abs(out_.intercept), kSmallCoefficient * largest);
    return against > 0 ? sum / against : 0;
  }

  // f, ∇f and the bound at the rounded model, from M itself: with q = [b', w, −1], residuals are q·z.
  void evaluate() {
    const std::size_t d = moments_.columns(), p = d + 2;
    std::vector<DoubleDouble> q(p);
    q[0] = DoubleDouble(out_.intercept) - DoubleDouble(moments_.centre(d + 1));
    for (std::size_t j = 0; j < d; ++j) {
      q[j + 1] = out_.w[j];
      q[0] += two_product(moments_.centre(j + 1), out_.w[j]);
    }
    q[p - 1] = -1.0;
    std::vector<DoubleDouble> products(p);
    DoubleDouble value = 0, penalty = 0;
    double length = 0;  // Σ |q_i| |z_i| / √S
    for (std::size_t i = 0; i < p; ++i) {
      for (std::size_t j = 0; j < p; ++j) products[i] += moments_.at(i, j) * q[j];
      value += q[i] * products[i];
      length += std::abs(q[i].high) * std::sqrt(std::max(0.0, moments_.at(i, i).high / weight_.high));
    }
    out_.gradient.assign(d + (options_.intercept ? 1 : 0), 0.0);
    out_.mean_shift.assign(d, 0.0);
    out_.scale.assign(d, 0.0);
    double square = 0;
    for (std::size_t j : out_.active) {
      penalty += lambda_[j] * two_product(out_.w[j], out_.w[j]);
      out_.gradient[j] = static_cast<double>((products[j + 1] / weight_ + lambda_[j] * out_.w[j]) / sigma_[j]);
      out_.mean_shift[j] = static_cast<double>(shift(j));
      out_.scale[j] = static_cast<double>(sigma_[j]);
    }
    if (options_.intercept) out_.gradient[d] = static_cast<double>(products[0] / weight_);
    for (double g : out_.gradient) square += g * g;
    out_.gradient_norm = std::sqrt(square);
    out_.objective = std::max(0.0, static_cast<double>((value / weight_ + penalty) * 0.5));
    out_.objective_error = moments_.rounding() * length * length / 2;
    const double wrong = moments_.rounding() * length * std::sqrt(static_cast<double>(out_.gradient.size()));
    out_.suboptimality = out_.newton_decrement(out_.gradient, wrong);
  }

  Moments moments_;
  const ExactOptions& options_;
  DoubleDouble weight_;                                 // S
  double rounding_ = 0;                                 // of an entry, relative to lengths around the means
  std::vector<DoubleDouble> sigma_, lambda_, scaling_;  // by column, scaling_ being E; 0 where it is constant
  ExactSolution out_;
};

// gᵀA⁻¹g, g in the coordinates of the gradient.
template <class T>
T form_of_inverse(const ExactSolution& s, const PivotedCholesky<T>& factor, std::span<const double> g) {
  const double by_intercept = g.size() > s.w.size() ? g[s.w.size()] : 0;
  std::vector<T> x(factor.rank);
  for (std::size_t k = 0; k < factor.rank; ++k) {
    const std::size_t i = factor.pivots[k], j = s.active[i];
    x[k] = T(s.equilibration[i]) * (T(g[j]) - T(s.mean_shift[j]) * T(by_intercept));
  }
  solve_lower(factor, std::span<T>(x));
  T square = T(by_intercept) * T(by_intercept);
  for (const T& value : x) square += value * value;
  return square;
}

}  // namespace

double ExactSolution::inverse_form(std::span<const double> g) const {
  if (wide_factor) return static_cast<double>(form_of_inverse(*this, *wide_factor, g));
  return form_of_inverse(*this, factor, g);
}

double ExactSolution::newton_decrement(std::span<const double> g, double rounding) const {
  const double exact = std::sqrt(form_of_inverse(*this, factor, g));
  const double with_error = exact + rounding * std::sqrt(std::max(1.0, inverse_norm));
  return with_error * with_error / 2;
}

ExactSolution solve_exact(const Statistics& statistics, const ExactOptions& options) {
  Builder builder(statistics, options);
  return statistics.precision == Statistics::Precision::double_double ? builder.solve<DoubleDouble>(kPivotDoubleDouble)
                                                                      : builder.solve<double>(kPivotFloat64);
}

ExactSolution refine_exact(ExactSolution solution, const Statistics& statistics, const ExactOptions& options,
                           std::span<const double> sums) {
  return Builder(statistics, options).refine(std::move(solution), sums);
}

}  // namespace muster
