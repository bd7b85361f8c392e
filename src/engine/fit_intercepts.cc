#include "engine/fit_intercepts.h"

#include <algorithm>
#include <cmath>

#include "engine/fit_coordinates.h"
#include "objective/linear_rows.h"

namespace muster {
namespace {

constexpr double kLargestStep = 2;
constexpr double kNone = 1e-300;  // where rounding leaves no curvature
// A remaining pivot, of a unit diagonal, that is rounding only: the shift of all classes, or of classes that no row is
// in doubt between.
constexpr double kDependent = 1e-13;

}  // namespace

InterceptCurvature::InterceptCurvature(Loss loss, std::size_t outputs, std::span<const double> tallies, double weight) {
  if (loss == Loss::logistic) single_ = std::max(tallies[1] / weight, kNone);
  if (loss != Loss::softmax) return;
  std::vector<double> curvature = curvature_by_intercepts(tallies, outputs, weight);
  for (std::size_t k = 0; k < outputs; ++k) root_.push_back(std::sqrt(std::max(curvature[k * outputs + k], kNone)));
  for (std::size_t a = 0; a < outputs; ++a)
    for (std::size_t b = 0; b < outputs; ++b) curvature[a * outputs + b] /= root_[a] * root_[b];
  factor_ = factorise(std::move(curvature), outputs, kDependent);
}

// With one class held, the last pivot, the others' curvature has an inverse G: gᵀH⁺g = gᵀGg <= |g|² trace G, and
// trace G = |L⁻¹D⁻¹|².
double InterceptCurvature::least() const {
  if (root_.empty()) return single_;
  if (factor_.rank + 1 < root_.size()) return kNone;
  double trace = 0;
  std::vector<double> column(root_.size());
  for (std::size_t k = 0; k < factor_.rank; ++k) {
    std::fill(column.begin(), column.end(), 0.0);
    column[k] = 1 / root_[factor_.pivots[k]];
    solve_lower(factor_, std::span<double>(column));
    for (std::size_t i = k; i < factor_.rank; ++i) trace += column[i] * column[i];
  }
  return std::max(1 / trace, kNone);
}

std::vector<double> InterceptCurvature::newton_step(std::span<const double> gradient) const {
  const std::size_t n = gradient.size();
  std::vector<double> step(n, 0.0);
  if (root_.empty()) {
    for (std::size_t k = 0; k < n; ++k) step[k] = -gradient[k] / single_;
  } else {
    std::vector<double> scaled(n);
    for (std::size_t k = 0; k < n; ++k) scaled[k] = -gradient[factor_.pivots[k]] / root_[factor_.pivots[k]];
    solve_factored(factor_, std::span<double>(scaled));
    double mean = 0;
    for (std::size_t k = 0; k < factor_.rank; ++k) {
      const std::size_t place = factor_.pivots[k];
      step[place] = scaled[k] / root_[place];
      mean += step[place] / static_cast<double>(n);
    }
    for (double& s : step) s -= mean;
  }
  double largest = 0;
  for (const double s : step) largest = std::max(largest, std::abs(s));
  if (largest > kLargestStep)
    for (double& s : step) s *= kLargestStep / largest;
  return step;
}

double left_to_intercepts(Loss loss, double square, double least_curvature) {
  return square / least_curvature * (loss == Loss::squared ? 0.5 : 1);
}

double turned_by_intercepts(Loss loss, double square, double least_curvature) {
  return loss == Loss::squared ? 0 : largest_curvature(loss) * 2 * std::sqrt(square) / least_curvature;
}

}  // namespace muster
