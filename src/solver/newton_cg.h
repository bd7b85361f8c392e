// Newton's method, its equations solved by conjugate gradients as far as they are worth it.
//
//     minimise f(w), twice differentiable, with gradient g and Hessian H
//
//     update   w ← w + αp,   Hp ≈ −g,   α by line search, 1 tried first
//
// The equations, from p = 0, r = −g, d = r:
//
//     α ← rᵀr / dᵀHd,   p ← p + αd,   r' ← r − αHd,   d ← r' + (r'ᵀr'/rᵀr) d,   r ← r'
//
// until |r| ≤ η|g|, η = min(½, (|g|/|g_0|)^¼) with g_0 the gradient at the start, which makes the steps' convergence
// superlinear and the first steps cheap. A d along which f is not convex ends them; where it is the first, p = −g. All
// iterates stay in the span of the gradients, so that a singular H does no harm. A product Hd costs one pass over the
// rows, a step mostly one more.
//
// Sources: R. Dembo, S. Eisenstat, T. Steihaug, "Inexact Newton methods", SIAM J. Numer. Anal. 19 (1982); J. Nocedal,
// S. J. Wright, "Numerical Optimization", 2nd ed., algorithm 7.1; for logistic loss C.-J. Lin, R. Weng, S. Keerthi,
// JMLR 9 (2008), and L. Galli, C.-J. Lin, "A study on truncated Newton methods for linear classification", IEEE Trans.
// Neural Netw. Learn. Syst. 33 (2022), who find line search as good as a trust region.
#pragma once

#include <vector>

#include "solver/descent.h"
#include "solver/problem.h"

namespace muster {

struct NewtonCgOptions {
  DescentOptions descent = {};
};

// The problem has hessian_product(). Rounds and ends are those of descend().
SolverResult minimise_newton_cg(Problem& problem, std::vector<double> start, const NewtonCgOptions& options);

}  // namespace muster
