// Which solver, under which synchronisation: what the user asked for, or the choice made for them and why.
#pragma once

#include <string>

#include "engine/fit_context.h"

namespace muster {

struct Choice {
  SolverChoice solver;
  std::string reason = {};    // empty where it was asked for
  std::int64_t patience = 0;  // where not 0: after so many rounds newton-cg goes on
};

// From numbers that all ranks agree on. Throws InputError where the one asked for can not do it.
Choice choose_solver(const FitContext& context);

// Up to so many columns of numbers exact is the choice however many rows there are, and one pass over these is all that
// is asked for.
std::size_t columns_surely_exact(const TrainOptions& options);

// The same under a parameter server or in a decentralized network (whose graph is topology), for any objective.
Choice choose_session_solver(const RunOptions& run, const Topology* topology);

}  // namespace muster
