// The objective of a rank without rows: it adds nothing to the sums.
#pragma once

#include <algorithm>

#include "muster/objective.h"

namespace muster {

class NoRows final : public Objective {
 public:
  NoRows(std::size_t dimension, std::size_t tallies) : dimension_(dimension), tallies_(tallies) {}
  std::size_t dimension() const override { return dimension_; }
  std::size_t rows() const override { return 0; }
  double weight() const override { return 0; }
  std::size_t tallies() const override { return tallies_; }
  Work value_and_gradient(std::span<const double>, double& value, std::span<double> gradient,
                          std::span<double> tallies) override {
    value = 0;
    std::fill(gradient.begin(), gradient.end(), 0.0);
    std::fill(tallies.begin(), tallies.end(), 0.0);
    return {};
  }
  bool bounds_curvature() const override { return true; }
  Work curvature_product(std::span<const double>, std::span<double> product) override {
    std::fill(product.begin(), product.end(), 0.0);
    return {};
  }

 private:
  std::size_t dimension_, tallies_;
};

}  // namespace muster
