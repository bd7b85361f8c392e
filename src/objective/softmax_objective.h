// The data part of f for softmax (multinomial logistic) regression, in scaled coordinates: a coefficient v_jk for each
// column and class, those of a column side by side, then the classes' intercepts where there are any.
//
//     margin_ik = Σ_j v_jk (x_ij − centre_j)/scale_j + b_k        loss_i = log Σ_k e^margin_ik − margin_iy ,  y: i's
//     class
//
// Adding one number to all margins of a row changes nothing: shifts of all classes by one (d+1)-vector are directions
// in which the loss is constant, and its gradient has no part in them. Offsets of rows are such shifts and are not
// read.
//
// Hessian: Σ s (diag p − p pᵀ) ⊗ x̃x̃ᵀ ≼ B = ½(I − 11ᵀ/K) ⊗ Σ s x̃x̃ᵀ, whatever p: D. Böhning, "Multinomial logistic
// regression algorithm", Annals of the Institute of Statistical Mathematics 44 (1992).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "muster/objective.h"
#include "objective/linear_rows.h"

namespace muster {

// Tallies: [Σ_i 1(s_i > 0 and another margin of row i is as large as its class's), Σ_i s_i p_a p_b for a < b, by rows].
// Each row is read from memory once per call.
//
// Threads: one call at a time; inside a call the executor's threads share the rows.
class SoftmaxObjective final : public Objective {
 public:
  // rows must outlive it; where they gain rows between two calls, the objective has them too. Targets are
  // classes.
  SoftmaxObjective(LinearRows& rows, std::size_t classes, Scaling scaling, bool intercept);

  std::size_t dimension() const override { return (rows_.columns() + (intercept_ ? 1 : 0)) * classes_; }
  std::size_t rows() const override { return rows_.rows(); }
  double weight() const override { return rows_.shape().weight; }
  std::size_t tallies() const override { return 1 + classes_ * (classes_ - 1) / 2; }
  Work value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                          std::span<double> tallies) override;
  bool bounds_curvature() const override { return true; }
  Work curvature_product(std::span<const double> v, std::span<double> product) override;
  bool has_hessian() const override { return true; }
  Work hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override;

 private:
  struct Point;
  struct Pass;

  Point point_at(std::span<const double> v) const;
  Pass pass_at(const Point& point) const;
  void write_gradient(const Pass& pass, std::span<const double> sums, std::span<double> gradient) const;

  LinearRows& rows_;
  std::size_t classes_;
  Scaling scaling_;
  bool intercept_;
};

// H with aᵀHa = ∂²f/∂b² along a, from the tallies: K × K, Σ_k H_ak = 0.
std::vector<double> curvature_by_intercepts(std::span<const double> tallies, std::size_t classes, double weight);

}  // namespace muster
