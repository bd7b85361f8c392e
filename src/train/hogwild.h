// Hogwild: the threads of one rank update one shared model without locks.
//
//     minimise F(v) = (1/S) Σ_i s_i loss_i(v) + ½ Σ_j p_j v_j² + Σ_j q_j |v_j|
//
//     a thread, for one row i after another, at whatever v it reads:
//
//     v_j ← prox( v_j − α_j ( ω_i (r_i − r̃_i) x_ij + ḡ_j / d_j ) )        for the columns j of row i alone
//
// (for softmax a coefficient for each class k, and r_ik = p_ik − 1(y_i = k)) with residuals r_i = loss_i'(margin_i),
// r̃_i the same at the point ṽ where the pass began, ḡ = (1/S) Σ_i s_i r̃_i x_i, d_j the share of steps that touch column
// j, ω_i the row's weight, and prox that of α_j/d_j times column j's penalty. In expectation a step goes along F's
// gradient, and its noise falls with the distance from ṽ, so that the one point at rest is F's minimiser, for any α.
//
// A column's update is one relaxed atomic addition: none is lost, none waits. Where rows are sparse two threads seldom
// meet in a column, and n threads do n times the work; where they are dense they contend for every cache line, and do
// not. objective/linear_steps.h says how rows become steps, and how long these are: nothing is left to tune.
//
// Guard: a pass that raises F beyond rounding is taken back, and its steps are halved for good.
//
// Sources: F. Niu, B. Recht, C. Ré, S. Wright, "Hogwild!: a lock-free approach to parallelizing stochastic gradient
// descent", NIPS 2011; H. Mania et al., "Perturbed iterate analysis for asynchronous stochastic optimization", SIAM J.
// Optim. 27 (2017) (KroMagnon: sparse variance reduction without locks); F. Pedregosa, R. Leblond, S. Lacoste-Julien,
// "Breaking the nonsmooth barrier", NIPS 2017 (the penalty's proximal step over a row's columns); D. Needell, N.
// Srebro, R. Ward, "Stochastic gradient descent, weighted sampling, and the randomized Kaczmarz algorithm", Math.
// Program. 155 (2016) (long rows are taken more often).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "base/executor.h"
#include "objective/linear_rows.h"
#include "solver/problem.h"

namespace muster {

struct HogwildOptions {
  std::vector<double> penalty;        // p, length dimension(); as the problem's
  std::vector<double> l1 = {};        // q, likewise, or empty: none
  std::int64_t max_rounds = 100'000;  // evaluations of F; one comes before the first pass
  double max_passes = std::numeric_limits<double>::infinity();
  std::uint64_t seed = 0;
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
};

// problem: F on this rank's rows alone (a MapReduce of one rank); objective and rows: the same. A round is a pass,
// after which F and its gradient are evaluated. Ends as minimise_gd. With one thread the same every time; with more,
// runs differ: their order is the machine's.
SolverResult minimise_hogwild(Problem& problem, const LinearObjective& objective, const Shard& rows, Executor& executor,
                              std::vector<double> start, const HogwildOptions& options);

}  // namespace muster
