// Hogwild: the threads of one rank update one shared model without locks.
//
//     minimise F(v) = (1/S) Σ_i s_i loss_i(v) + ½ Σ p_j v_j²
//
//     a thread, for one row i after another, at whatever v it reads:
//     v_j ← v_j − α_i ( s̄_i r_i x̃_ij + p_j v_j / d_j )   for the columns j of row i alone,
//     r_i = loss_i'(margin_i),  s̄_i = s_i n/S,  d_j: the share of rows with column j,  α_i = α/(1 + α s̄_i h|x̃_i|²)
//
// A column's update is one relaxed atomic addition: none is lost, none waits. Where rows are sparse two threads seldom
// meet in a column and n threads do n times the work; where they are dense they contend for every cache line, and do
// not. The intercept, which all rows share, is added to once in some rows by each thread.
//
// Step: α = 1/(h mean |x̃_i|²) at first; the denominator of α_i (h >= loss'') lets no row overshoot its own margin. When
// a pass gains less than a quarter of what the last one did, the noise of single rows is near its floor, and it is
// taken out: with r̃_i the residuals and ḡ the gradient of the losses at the point ṽ where the pass began,
//
//     v_j ← v_j − α_i ( s̄_i (r_i − r̃_i) x̃_ij + (ḡ_j + p_j v_j)/d_j )
//
// which is at rest at F's minimiser alone, for any α. A pass that raises F is taken back, and α halved.
//
// Sparse rows are taken as they are, not centred (that would make them dense): v stays in the objective's coordinates,
// but the intercept moves as the margin of the row of zeros.
//
// Sources: F. Niu, B. Recht, C. Ré, S. Wright, "Hogwild!: a lock-free approach to parallelizing stochastic gradient
// descent", NIPS 2011; H. Mania et al., "Perturbed iterate analysis for asynchronous stochastic optimization", SIAM J.
// Optim. 27 (2017) (KroMagnon: sparse variance reduction without locks); P. Toulis, E. Airoldi, Ann. Statist. 45 (2017)
// (denominators).
#pragma once

#include <cstdint>
#include <vector>

#include "base/executor.h"
#include "objective/linear_rows.h"
#include "solver/problem.h"

namespace muster {

struct HogwildOptions {
  std::vector<double> penalty;        // p, length dimension(); as the problem's
  std::int64_t max_rounds = 100'000;  // passes
  std::uint64_t seed = 0;
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
  bool variance_reduction = true;
};

// problem: F on this rank's rows alone, penalty included (a MapReduce of one rank); objective: the same rows. It is
// asked for F and its gradient after each pass, which is a round, with one thread doing nothing else then. Ends as
// minimise_gd. Runs differ with more than one thread: their order is the machine's.
SolverResult minimise_hogwild(Problem& problem, LinearObjective& objective, Executor& executor,
                              std::vector<double> start, const HogwildOptions& options);

}  // namespace muster
