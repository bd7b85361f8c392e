#include "engine/fit_coordinates.h"

#include <cmath>

#include "base/check.h"
#include "objective/row_loss.h"

namespace muster {

void centre_outputs(std::span<double> values, std::size_t outputs) {
  for (std::size_t begin = 0; begin < values.size(); begin += outputs) {
    DoubleDouble sum;
    for (std::size_t k = 0; k < outputs; ++k) sum += values[begin + k];
    const double mean = static_cast<double>(sum) / static_cast<double>(outputs);
    for (std::size_t k = 0; k < outputs; ++k) values[begin + k] -= mean;
  }
}

Coordinates::Coordinates(const Agreement& agreed, const ProblemOptions& problem, bool with_intercept)
    : scaling_(agreed.scaling), intercept_(with_intercept), outputs_(agreed.outputs) {
  penalty_.assign(dimension(), 0.0);
  to_penalised_.assign(scaling_.scale.size() * outputs_, 0.0);
  if (problem.l1 > 0) l1_.assign(dimension(), 0.0);
  for (std::size_t j = 0; j < scaling_.scale.size(); ++j) {
    double& scale = scaling_.scale[j];
    if (scale == 0) continue;
    if (!problem.standardize) scale = std::sqrt(scale * scale + problem.l2 / largest_curvature(problem.loss));
    for (std::size_t k = j * outputs_; k < (j + 1) * outputs_; ++k) {
      penalty_[k] = problem.standardize ? problem.l2 : problem.l2 / scale / scale;
      to_penalised_[k] = problem.standardize ? 1 : scale;
      if (problem.l1 > 0) l1_[k] = problem.standardize ? problem.l1 : problem.l1 / scale;
    }
  }
}

std::vector<double> Coordinates::from_user(std::span<const double> w) const {
  const std::size_t d = scaling_.scale.size();
  MUSTER_CHECK(w.size() == d * outputs_, "a coefficient a column and output");
  std::vector<double> v(dimension(), 0.0);
  for (std::size_t i = 0; i < w.size(); ++i) v[i] = w[i] * scaling_.scale[i / outputs_];
  return v;
}

std::vector<double> Coordinates::to_user(std::span<const double> v) const {
  std::vector<double> w(scaling_.scale.size() * outputs_, 0.0);
  for (std::size_t i = 0; i < w.size(); ++i)
    if (scaling_.scale[i / outputs_] != 0) w[i] = v[i] / scaling_.scale[i / outputs_];
  if (outputs_ > 1 && l1_.empty()) centre_outputs(w, outputs_);
  return w;
}

std::vector<DoubleDouble> Coordinates::shift(std::span<const double> w) const {
  std::vector<DoubleDouble> sums(outputs_);
  for (std::size_t i = 0; i < w.size(); ++i) sums[i % outputs_] += two_product(scaling_.centre[i / outputs_], w[i]);
  return sums;
}

}  // namespace muster
