// The batch solvers by name: any Problem, linear or not.
#pragma once

#include <cstdint>
#include <vector>

#include "muster/options.h"
#include "solver/problem.h"

namespace muster {

struct MinimiseOptions {
  std::vector<double> l1 = {};  // q, or empty: none
  std::int64_t max_rounds = 100'000;
  std::int64_t first_round = 0;  // number of the first round, for a run that goes on
  std::uint64_t seed = 0;
};

// solver: gd, nesterov, lbfgs, newton_cg, or, where the problem is quadratic, cg.
SolverResult minimise(SolverChoice solver, Problem& problem, std::vector<double> start, const MinimiseOptions& options);

}  // namespace muster
