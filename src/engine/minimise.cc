#include "engine/minimise.h"

#include <utility>

#include "base/check.h"
#include "solver/cg.h"
#include "solver/gd.h"
#include "solver/lbfgs.h"
#include "solver/nesterov.h"
#include "solver/newton_cg.h"

namespace muster {

SolverResult minimise(SolverChoice solver, Problem& problem, std::vector<double> start,
                      const MinimiseOptions& options) {
  const DescentOptions descent{.max_rounds = options.max_rounds, .first_round = options.first_round};
  if (solver == SolverChoice::lbfgs) return minimise_lbfgs(problem, std::move(start), {.descent = descent});
  if (solver == SolverChoice::newton_cg) return minimise_newton_cg(problem, std::move(start), {.descent = descent});
  if (solver == SolverChoice::cg)
    return minimise_cg(problem, std::move(start),
                       {.max_rounds = options.max_rounds, .first_round = options.first_round});
  if (solver == SolverChoice::nesterov)
    return minimise_nesterov(
        problem, std::move(start),
        {.l1 = options.l1, .max_rounds = options.max_rounds, .seed = options.seed, .first_round = options.first_round});
  MUSTER_CHECK(solver == SolverChoice::gd, "a solver that sees a function and its gradient");
  return minimise_gd(problem, std::move(start),
                     {.max_rounds = options.max_rounds, .seed = options.seed, .first_round = options.first_round});
}

}  // namespace muster
