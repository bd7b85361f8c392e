// Gradient descent.
//
//     minimise f(w), convex, with L-Lipschitz gradient g = ∇f
//
//     update   w ← w − αg,   α = 1/L
//
// L: B's largest eigenvalue, where ∇²f ≼ B (Problem::curvature_product), estimated by Lanczos and inflated. Guard: for
// a true L the step decreases f by at least (α/2)|g|²; where it does not, beyond what rounding hides, α is halved and
// the step taken again from the same w. Rate: |w − w*| shrinks by 1 − 1/κ a round, κ = L over the smallest eigenvalue.
//
// Sources: A. Cauchy, C. R. Acad. Sci. Paris 25 (1847); Yu. Nesterov, "Lectures on Convex Optimization", 2nd ed.,
// 1.2.3 and 2.1.5.
#pragma once

#include <cstdint>
#include <vector>

#include "solver/problem.h"

namespace muster {

struct GdOptions {
  std::int64_t max_rounds = 100'000;
  std::uint64_t seed = 0;        // of the start vector of the estimate of L
  double lipschitz = 0;          // L; 0: estimate it
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
};

// A round is one evaluation of f and its gradient. Ends by the problem's verdict, at max_rounds, when f or its gradient
// is not finite (diverged), or when |g| has found no new minimum for a hundred rounds in which f did not change beyond
// rounding (converged: at the rounding floor).
SolverResult minimise_gd(Problem& problem, std::vector<double> start, const GdOptions& options);

}  // namespace muster
