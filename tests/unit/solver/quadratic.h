// Problems with a known minimum, for the tests of solvers.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "solver/problem.h"

namespace muster {

// f(w) = ½ Σ h_j (w_j − m_j)², plus what a test wants to spoil.
class Quadratic : public Problem {
 public:
  Quadratic(std::vector<double> h, std::vector<double> minimum) : h_(std::move(h)), minimum_(std::move(minimum)) {}

  std::size_t dimension() const override { return h_.size(); }
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    double value = 0;
    for (std::size_t j = 0; j < h_.size(); ++j) {
      gradient[j] = h_[j] * (w[j] - minimum_[j]);
      value += 0.5 * gradient[j] * (w[j] - minimum_[j]);
    }
    if (std::abs(w[0]) > finite_within) value = std::numeric_limits<double>::infinity();
    ++evaluations;
    return value + base;
  }
  void curvature_product(std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < h_.size(); ++j) product[j] = reported_curvature * h_[j] * v[j];
  }
  void hessian_product(std::span<const double>, std::span<const double> v, std::span<double> product) override {
    for (std::size_t j = 0; j < h_.size(); ++j) product[j] = h_[j] * v[j];
    ++products;
  }
  Verdict after_round(std::int64_t round, std::span<const double> w, double value, std::span<const double>) override {
    path.emplace_back(w.begin(), w.end());
    values.push_back(value);
    return {round == stop_at || stop_requested(), StopReason::converged, "as the test asked"};
  }
  bool stop_requested() const override { return evaluations >= stop_after_evaluations; }

  std::int64_t stop_at = -1, evaluations = 0, products = 0,
               stop_after_evaluations = std::numeric_limits<std::int64_t>::max();
  double reported_curvature = 1, base = 0, finite_within = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> path;
  std::vector<double> values;

 private:
  std::vector<double> h_, minimum_;
};

}  // namespace muster
