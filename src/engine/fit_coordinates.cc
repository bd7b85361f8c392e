#include "engine/fit_coordinates.h"

#include <cmath>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {

double largest_curvature(Loss loss) {
  return loss == Loss::logistic ? 0.25 : 1;
}

Coordinates::Coordinates(const Agreement& agreed, const ProblemOptions& problem)
    : scaling_(agreed.scaling), intercept_(problem.intercept) {
  penalty_.assign(dimension(), 0.0);
  to_penalised_.assign(scaling_.scale.size(), 0.0);
  if (problem.l1 > 0) l1_.assign(dimension(), 0.0);
  for (std::size_t j = 0; j < scaling_.scale.size(); ++j) {
    double& scale = scaling_.scale[j];
    if (scale == 0) continue;
    if (problem.standardize) {
      penalty_[j] = problem.l2;
      to_penalised_[j] = 1;
    } else {
      scale = std::sqrt(scale * scale + problem.l2 / largest_curvature(problem.loss));
      penalty_[j] = problem.l2 / scale / scale;
      to_penalised_[j] = scale;
    }
    if (problem.l1 > 0) l1_[j] = problem.standardize ? problem.l1 : problem.l1 / scale;
  }
}

std::vector<double> Coordinates::from_user(const LinearModel& model) const {
  const std::size_t d = scaling_.scale.size();
  MUSTER_CHECK(model.w.size() == d, "a coefficient a column");
  std::vector<double> v(dimension());
  DoubleDouble intercept = model.intercept;
  for (std::size_t j = 0; j < d; ++j) {
    v[j] = model.w[j] * scaling_.scale[j];
    intercept += two_product(scaling_.centre[j], model.w[j]);
  }
  if (intercept_) v[d] = static_cast<double>(intercept);
  return v;
}

LinearModel Coordinates::to_user(std::span<const double> v) const {
  const std::size_t d = scaling_.scale.size();
  LinearModel model{std::vector<double>(d), 0};
  DoubleDouble intercept = intercept_ ? v[d] : 0;
  for (std::size_t j = 0; j < d; ++j) {
    if (scaling_.scale[j] == 0) continue;
    model.w[j] = v[j] / scaling_.scale[j];
    if (intercept_) intercept -= two_product(scaling_.centre[j], model.w[j]);
  }
  model.intercept = static_cast<double>(intercept);
  return model;
}

}  // namespace muster
