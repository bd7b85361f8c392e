#include "model/class_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace muster {

void class_probabilities(std::span<const double> margins, std::span<double> probabilities) {
  MUSTER_CHECK(probabilities.size() == margins.size(), "a probability for every margin");
  const double top = *std::max_element(margins.begin(), margins.end());
  double total = 0;
  for (std::size_t k = 0; k < margins.size(); ++k) total += probabilities[k] = std::exp(margins[k] - top);
  for (double& p : probabilities) p /= total;
}

std::size_t predicted_class(std::span<const double> margins) {
  return static_cast<std::size_t>(std::max_element(margins.begin(), margins.end()) - margins.begin());
}

double softmax_loss(std::size_t y, std::span<const double> margins) {
  const double top = *std::max_element(margins.begin(), margins.end());
  double rest = 0;  // Σ_{k≠y} e^(z_k − top)
  for (std::size_t k = 0; k < margins.size(); ++k) rest += k == y ? 0 : std::exp(margins[k] - top);
  return (top - margins[y]) + std::log1p(rest + std::expm1(margins[y] - top));
}

SoftmaxMetrics::SoftmaxMetrics(std::vector<std::string> classes) {
  metrics_.confusion.assign(classes.size(), std::vector<std::int64_t>(classes.size(), 0));
  metrics_.classes = std::move(classes);
}

void SoftmaxMetrics::add(std::size_t y, std::span<const double> margins, double weight) {
  MUSTER_CHECK(margins.size() == metrics_.classes.size() && y < margins.size(), "a margin for every class");
  const std::size_t predicted = predicted_class(margins);
  ++metrics_.rows;
  ++metrics_.confusion[y][predicted];
  weight_ += weight;
  loss_ += weight * softmax_loss(y, margins);
  if (predicted == y) correct_ += weight;
}

Metrics SoftmaxMetrics::result() && {
  const bool defined = weight_ > 0;
  metrics_.log_loss = defined ? static_cast<double>(loss_) / weight_ : std::numeric_limits<double>::quiet_NaN();
  metrics_.accuracy = defined ? static_cast<double>(correct_) / weight_ : std::numeric_limits<double>::quiet_NaN();
  return std::move(metrics_);
}

}  // namespace muster
