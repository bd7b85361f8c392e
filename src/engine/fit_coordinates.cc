#include "engine/fit_coordinates.h"

#include <cmath>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {

double largest_curvature(Loss loss) {
  return loss == Loss::logistic ? 0.25 : 1;
}

Coordinates::Coordinates(const Agreement& agreed, const ProblemOptions& problem)
    : scaling_(agreed.scaling), intercept_(problem.intercept), outputs_(agreed.outputs) {
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

std::vector<double> Coordinates::from_user(const LinearModel& model) const {
  const std::size_t d = scaling_.scale.size();
  MUSTER_CHECK(model.outputs() == outputs_ && model.w.size() == d * outputs_, "a coefficient a column and output");
  std::vector<double> v(dimension());
  for (std::size_t k = 0; k < outputs_; ++k) {
    DoubleDouble intercept = model.intercepts[k];
    for (std::size_t j = 0; j < d; ++j) {
      const double w = model.w[j * outputs_ + k];
      v[j * outputs_ + k] = w * scaling_.scale[j];
      intercept += two_product(scaling_.centre[j], w);
    }
    if (intercept_) v[d * outputs_ + k] = static_cast<double>(intercept);
  }
  return v;
}

LinearModel Coordinates::to_user(std::span<const double> v) const {
  const std::size_t d = scaling_.scale.size();
  LinearModel model{std::vector<double>(d * outputs_), std::vector<double>(outputs_)};
  for (std::size_t k = 0; k < outputs_; ++k) {
    DoubleDouble intercept = intercept_ ? v[d * outputs_ + k] : 0;
    for (std::size_t j = 0; j < d; ++j) {
      if (scaling_.scale[j] == 0) continue;
      double& w = model.w[j * outputs_ + k];
      w = v[j * outputs_ + k] / scaling_.scale[j];
      if (intercept_) intercept -= two_product(scaling_.centre[j], w);
    }
    model.intercepts[k] = static_cast<double>(intercept);
  }
  return model;
}

}  // namespace muster
