// Training of an objective that a program brings itself, under any of the programming models and on any transport.
//
//     minimise F(w) = (1/S) Σ_k f_k(w) + ½ Σ_j l2_j w_j² + Σ_j l1_j |w_j| ,   f_k: worker k's share,  S = Σ_k S_k
//
// F need not be convex, nor linear in anything. Where it is not convex, what is found is a point of small gradient.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "muster/muster.h"
#include "muster/objective.h"

namespace muster {

// Makes the share of one worker: `worker` of `workers`, counted from 0. Together the shares are the whole objective,
// each row in one of them. Called on each worker for its own share, and, where a worker is lost on the way, once more
// on the one that takes its place. Called from one thread at a time in each process, or, where workers are threads,
// from several. What it throws ends the run by name.
using ObjectiveFactory = std::function<std::unique_ptr<Objective>(int worker, int workers)>;

struct ObjectiveOptions {
  RunOptions run;
  // tolerance: converged when the gradient's norm (with l1, that of the least subgradient) is at most that times its
  // norm at the start.
  StopOptions stop;
  std::vector<double> l2, l1;  // by parameter, or empty: none
};

struct ObjectiveResult {
  std::vector<double> w;
  Report report;
  bool speaks = true;  // false on every rank but the first: only that one should print and write files
  std::vector<ObjectiveResult> other_parts = {};  // as in TrainResult
};

// Under a launcher (mpirun, srun) every process calls it and becomes one rank; else options.run.workers threads do.
// start: w at first, equal on every rank. Blocks until done; request_stop() stops it.
//
// Step sizes: from Objective::curvature_product where the objective bounds its curvature; where it does not, from four
// times the curvature at the start, measured by differences of gradients. That is no bound: should a run diverge or
// stall, give the bound, or take lbfgs, the default of mapreduce, which needs neither.
//
// Second derivatives, which newton_cg asks for: from Objective::hessian_product where the objective has_hessian();
// where it does not, by differences of gradients, two more passes over the rows for each product.
//
// Throws InputError, ClusterError, Cancelled. Threads: one call at a time per process.
ObjectiveResult train_objective(const ObjectiveFactory& make, std::vector<double> start,
                                const ObjectiveOptions& options, const ProgressObserver& observer = {});

}  // namespace muster
