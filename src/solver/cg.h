// Conjugate gradients.
//
//     minimise f(w) = ½ wᵀAw − bᵀw + c,   A symmetric positive semidefinite,  b in its range
//
//     r = −∇f,   d = r at first
//     update   α ← rᵀr / dᵀAd,   w ← w + αd,   r' ← r − αAd,   d ← r' + (r'ᵀr'/rᵀr) d,   r ← r'
//
// f and its gradient are carried along: f falls by ½α rᵀr. In exact arithmetic done after as many steps as the start's
// gradient has distinct eigenvalues of A in it; f − f* shrinks by ((√κ − 1)/(√κ + 1))² a step at least. The iterates
// stay in the span of the gradients, so that a singular A leads to the minimiser nearest to the start.
//
// What is carried along drifts from what is true. So the run ends only by an evaluation: where the carried gradient
// says stop, f and ∇f are evaluated, and where those do not agree it begins anew from them.
//
// Source: M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. Nat. Bur.
// Standards 49 (1952); J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., algorithm 5.2.
#pragma once

#include <cstdint>
#include <vector>

#include "solver/problem.h"

namespace muster {

struct CgOptions {
  std::int64_t max_rounds = 100'000;
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
};

// The problem is quadratic and has hessian_product(). A round is one pass over the rows: an evaluation, as the first
// is, or a step. Ends by the problem's verdict at an evaluated point, at max_rounds, when f or its gradient is not
// finite or f falls for ever (diverged), or when evaluations no longer find a smaller gradient (converged: at the
// rounding floor).
SolverResult minimise_cg(Problem& problem, std::vector<double> start, const CgOptions& options);

}  // namespace muster
