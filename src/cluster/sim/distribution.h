// A distribution of positive factors or times, sampled by inverting its distribution function, so that one uniform
// number gives one sample and a sample depends on nothing but that number.
#pragma once

#include <vector>

namespace muster {

struct Distribution {
  enum class Kind { constant, uniform, exponential, lognormal, pareto, empirical };

  Kind kind = Kind::constant;
  double a = 1;  // constant: the value; uniform: low; exponential: mean; lognormal: median; pareto: minimum
  double b = 0;  // uniform: high; lognormal: sigma of the logarithm; pareto: shape
  std::vector<double> values = {};  // empirical: each as likely as another

  static Distribution constant(double value) { return {Kind::constant, value, 0, {}}; }
  static Distribution uniform(double low, double high) { return {Kind::uniform, low, high, {}}; }
  static Distribution exponential(double mean) { return {Kind::exponential, mean, 0, {}}; }
  static Distribution lognormal(double median, double sigma) { return {Kind::lognormal, median, sigma, {}}; }
  // P(X > x) = (minimum/x)^shape.
  static Distribution pareto(double minimum, double shape) { return {Kind::pareto, minimum, shape, {}}; }
  static Distribution empirical(std::vector<double> values) { return {Kind::empirical, 1, 0, std::move(values)}; }

  // The sample at u in [0, 1).
  double sample(double u) const;
  // Infinite for a Pareto of shape <= 1.
  double mean() const;
};

}  // namespace muster
