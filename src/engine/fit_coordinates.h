// Between the user's units and the coordinates iterative solvers run in:
//
//     v_j = σ_j w_j   (j = 1 … d),   b' = b + Σ c_j w_j ,   σ_j² = scale_j² + λ2/h
//
// for every output alike; a column's coordinates stand side by side, one an output, and the intercepts last.
// with the columns' centres c_j and root mean squares scale_j, and h a bound on the loss's second derivative. With
// λ2 in σ_j every diagonal entry of the Hessian is at most h in v, so that a penalty on a column of small scale does
// not make the problem ill-conditioned. A constant column has σ_j = 0 and w_j = 0. Where the penalty acts on
// standardised columns, σ_j = scale_j.
#pragma once

#include <span>
#include <vector>

#include "base/double_double.h"
#include "engine/fit.h"
#include "engine/fit_context.h"

namespace muster {

class Coordinates {
 public:
  // Of the columns the agreement scales; with_intercept: with the coordinates of the intercepts.
  Coordinates(const Agreement& agreed, const ProblemOptions& problem, bool with_intercept);

  std::size_t dimension() const { return (scaling_.scale.size() + (intercept_ ? 1 : 0)) * outputs_; }
  const Scaling& scaling() const { return scaling_; }
  const std::vector<double>& penalty() const { return penalty_; }  // by coordinate, 0 for intercepts
  const std::vector<double>& l1() const { return l1_; }            // likewise; empty: none
  // By coordinate other than intercepts: factor from ∂F/∂v_j to the derivative by the coordinate in which the penalty
  // is (λ2/2)|·|².
  const std::vector<double>& to_penalised() const { return to_penalised_; }

  // v from w, and w from v; intercepts' coordinates are left 0, or out. Of the w that differ by a shift of all outputs
  // alike, which softmax does not tell apart, and an l1 penalty does, the one of least norm.
  std::vector<double> from_user(std::span<const double> w) const;
  std::vector<double> to_user(std::span<const double> v) const;
  // Σ_j c_j w_j by output, what b' is more than b. In double-double: means can be many times larger than what they
  // leave of the intercept.
  std::vector<DoubleDouble> shift(std::span<const double> w) const;

 private:
  Scaling scaling_;
  bool intercept_;
  std::size_t outputs_;
  std::vector<double> penalty_, l1_, to_penalised_;
};

// Takes off every `outputs` values, one an output, their mean.
void centre_outputs(std::span<double> values, std::size_t outputs);

}  // namespace muster
