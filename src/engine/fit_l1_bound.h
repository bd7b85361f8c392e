// A bound on how far a fit with an l1 penalty, and perhaps nothing else, is above its optimum.
//
//     F(w, b) = f(w, b) + Σ q_j |w_j| ,    f(w, b) = (1/S) Σ s_i ℓ_i(x_i·w + b + o_i) ,    ℓ_i convex, ℓ_i >= 0
//
// Let θ_i = ℓ_i'(z_i) at a point, and g = ∂f/∂w = (1/S) Σ s_i θ_i x_i. Where ∂f/∂b = (1/S) Σ s_i θ_i = 0, every
// c in [0, 1] with c|g_j| <= q_j gives by Fenchel, ℓ_i(z') >= cθ_i z' − ℓ_i*(cθ_i), for all (w', b')
//
//     F(w', b') >= c g·w' + Σ q_j |w'_j| + (1/S) Σ s_i (cθ_i o_i − ℓ_i*(cθ_i)) >= (1/S) Σ s_i (cθ_i o_i − ℓ_i*(cθ_i))
//
// ℓ* is convex and ℓ*(0) = −inf ℓ <= 0, so ℓ*(cθ) <= cℓ*(θ); and ℓ*(θ_i) = θ_i z_i − ℓ_i(z_i). Hence F* >= c(f − g·w),
// and with ρ = max_j (|g_j|/q_j − 1)₊, c = 1/(1 + ρ), h = g·w + Σ q_j |w_j|:
//
//     F − F* <= (ρ F + h) / (1 + ρ)
//
// which is 0 at the optimum, where |g_j| <= q_j and g_j w_j = −q_j |w_j|. Without an intercept there is no condition.
// Where ∂f/∂b is not quite 0, this is the bound at the best b, to which what b has to give is added; on the way there
// g_j turns by something (for the squared loss and centred columns by nothing).
//
// Source: R. Tibshirani et al., J. R. Stat. Soc. B 74 (2012) and S.-J. Kim et al., IEEE J. Sel. Top. Signal Process. 1
// (2007), 606-617, for the scaled dual point.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/double_double.h"
#include "engine/fit_context.h"

namespace muster {

// What it takes of the coordinates held here: h and max |g_j|/q_j.
class L1Bound {
 public:
  // turn: by how much every g_j may be off, in the coordinates given.
  explicit L1Bound(double turn = 0) : turn_(turn) {}

  // A coordinate with q > 0.
  void add(double w, double g, double q) {
    slack_ += two_product(g, w) + (q + turn_) * std::abs(w);
    largest_ = std::max(largest_, (std::abs(g) + turn_) / q);
  }

  // Collective: of all parts. value: F.
  double above_optimum(FitContext& context, double value) const {
    double slack[] = {slack_.high, slack_.low}, largest = largest_;
    context.sum_over_columns(slack, ReduceOp::sum_double_double);
    context.sum_over_columns({&largest, 1}, ReduceOp::max);
    const double excess = std::max(largest - 1, 0.0);
    return std::max((excess * value + slack[0] + slack[1]) / (1 + excess), 0.0);
  }

 private:
  double turn_;
  DoubleDouble slack_ = 0;
  double largest_ = 0;
};

}  // namespace muster
