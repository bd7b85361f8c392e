// Accelerated proximal gradient, with restart.
//
//     minimise F(w) = f(w) + Σ_j q_j |w_j| ,   f convex with L-Lipschitz gradient g
//
//     x⁺ = prox(y − αg(y)) ,   prox(u)_j = sign(u_j) max(|u_j| − αq_j, 0) ,   α = 1/L
//     y⁺ = x⁺ + ((t − 1)/t⁺)(x⁺ − x) ,   t⁺ = (1 + √(1 + 4t²))/2 ,   t = 1 at first
//
// Restart: where the step opposes the momentum, (y − x⁺)·(x⁺ − x) > 0, t begins anew; on a strongly convex f that gives
// about the rate 1 − 1/√κ without knowing κ. Guard: for a true L, f(y⁺) ≤ f(y) + g(y)·(y⁺ − y) + (L/2)|y⁺ − y|²; where
// that fails beyond what rounding hides, L is doubled and the run goes on from the last point where it held. The guard
// costs nothing, since only points that are evaluated anyway are compared.
//
// Sources: Yu. Nesterov, Soviet Math. Dokl. 27 (1983); A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding
// algorithm for linear inverse problems", SIAM J. Imaging Sciences 2 (2009); B. O'Donoghue, E. Candès, "Adaptive
// restart for accelerated gradient schemes", Found. Comput. Math. 15 (2015).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "solver/problem.h"

namespace muster {

struct NesterovOptions {
  std::vector<double> l1 = {};  // q, or empty: none
  std::int64_t max_rounds = 100'000;
  std::uint64_t seed = 0;        // of the start vector of the estimate of L
  double lipschitz = 0;          // L; 0: estimate it
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
};

// problem gives F's value and f's gradient. A round is one evaluation, at y, which is also the point judged and
// returned. Ends as minimise_gd does.
SolverResult minimise_nesterov(Problem& problem, std::vector<double> start, const NesterovOptions& options);

}  // namespace muster
