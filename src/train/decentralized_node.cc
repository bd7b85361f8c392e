#include "train/decentralized_node.h"

#include <cmath>

#include "solver/lanczos.h"

namespace muster {

NodeObjective::NodeObjective(Objective& objective, Endpoint& endpoint, const SessionOptions& options)
    : objective_(objective), endpoint_(endpoint), options_(options), tallies_(objective.tallies()) {}

double NodeObjective::value_and_gradient(std::span<const double> w, std::span<double> gradient) {
  double value = 0;
  const Time begin = endpoint_.now();
  endpoint_.charge(objective_.value_and_gradient(w, value, gradient, tallies_));
  compute_seconds_ += endpoint_.now() - begin;
  ++gradients_;
  value *= scale_;
  for (std::size_t j = 0; j < w.size(); ++j) {
    gradient[j] = scale_ * gradient[j] + options_.penalty[j] * w[j];
    value += 0.5 * options_.penalty[j] * w[j] * w[j];
  }
  for (std::size_t j = 0; j < options_.l1.size(); ++j) value += options_.l1[j] * std::abs(w[j]);
  return value;
}

double NodeObjective::lipschitz(std::uint64_t seed) {
  const Time begin = endpoint_.now();
  const auto product = [&](std::span<const double> v, std::span<double> out) {
    endpoint_.charge(objective_.curvature_product(v, out));
    for (std::size_t j = 0; j < v.size(); ++j) out[j] = scale_ * out[j] + options_.penalty[j] * v[j];
  };
  const double estimate = estimate_largest_eigenvalue(dimension(), product, seed).estimate;
  compute_seconds_ += endpoint_.now() - begin;
  return estimate;
}

}  // namespace muster
