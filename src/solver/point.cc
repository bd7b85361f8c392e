#include "solver/point.h"

#include <algorithm>
#include <cmath>

namespace muster {

bool evaluate(Problem& problem, Point& point) {
  point.value = problem.value_and_gradient(point.w, point.gradient);
  point.square = dot(problem, point.gradient, point.gradient);
  return std::isfinite(point.value) && std::isfinite(point.square);
}

double dot(std::span<const double> a, std::span<const double> b) {
  return sum_in_lanes(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}

double dot(Problem& problem, std::span<const double> a, std::span<const double> b) {
  double sum = dot(a, b);
  problem.sum_over_blocks({&sum, 1});
  return sum;
}

double hidden_by_rounding(double a, double b) {
  return kValueRounding * std::max(std::abs(a), std::abs(b));
}

bool FloorDetector::at_floor(const Point& point) {
  if (point.square < least_square_ || std::abs(point.value - value_) > kValueRounding * std::abs(value_)) {
    least_square_ = std::min(point.square, least_square_);
    value_ = point.value;
    rounds_ = 0;
  }
  return ++rounds_ > patience_;
}

}  // namespace muster
