// Limited-memory BFGS.
//
//     minimise f(w), smooth, with gradient g = ∇f
//
//     update   w ← w + αp,   p = −Hg,   α by line search
//
// H approximates the inverse Hessian from the last m pairs s = Δw, y = Δg, ρ = 1/sᵀy, on top of γI with γ = sᵀy/yᵀy of
// the newest. The product Hg, by the two-loop recursion:
//
//     q ← g;   newest to oldest:  a_i ← ρ_i s_iᵀq,  q ← q − a_i y_i
//     r ← γq;  oldest to newest:  b ← ρ_i y_iᵀr,    r ← r + (a_i − b) s_i
//
// q and r lie in the span of s_i, y_i and g, and are kept as coefficients: the recursion is one of scalars, by the
// inner products of these vectors, of which a round adds those with the newest.
//
// Line search: strong Wolfe, c1 = 1e-4, c2 = 0.9, which makes sᵀy > 0; step 1 is tried first. Without a pair, p = −g
// and the first step tried is gᵀg/gᵀBg, where ∇²f ≼ B: 1/L seen along g; or any, where lines are known at once. A pair
// whose sᵀy is rounding is left out.
//
// Sources: J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5; W. Chen, Z. Wang, J.
// Zhou, "Large-scale L-BFGS using MapReduce", NIPS 2014, for the coefficients.
#pragma once

#include <cstddef>
#include <vector>

#include "solver/descent.h"
#include "solver/problem.h"

namespace muster {

struct LbfgsOptions {
  DescentOptions descent = {};
  std::size_t memory = 10;  // m
};

// Rounds and ends are those of descend().
SolverResult minimise_lbfgs(Problem& problem, std::vector<double> start, const LbfgsOptions& options);

}  // namespace muster
