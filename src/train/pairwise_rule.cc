#include "train/pairwise_rule.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace muster {

PairwiseRule::PairwiseRule(std::vector<double> start, double step, double dual_step, std::vector<double> l1)
    : step_(step), dual_step_(dual_step), w_(std::move(start)), dual_(w_.size()), l1_(std::move(l1)) {}

void PairwiseRule::step(std::span<const double> gradient) {
  for (std::size_t j = 0; j < w_.size(); ++j) w_[j] -= step_ * (gradient[j] + dual_[j]);
  for (std::size_t j = 0; j < l1_.size(); ++j)
    w_[j] = std::copysign(std::max(std::abs(w_[j]) - step_ * l1_[j], 0.0), w_[j]);
}

void PairwiseRule::exchange(std::span<const double> difference, Role role, std::int64_t steps) {
  const double sign = role == Role::asks ? 1 : -1;
  const double c = dual_step_ / (step_ * static_cast<double>(std::max<std::int64_t>(1, steps)));
  for (std::size_t j = 0; j < w_.size(); ++j) {
    w_[j] -= sign * difference[j];
    dual_[j] += sign * (c * difference[j]);
  }
}

}  // namespace muster
