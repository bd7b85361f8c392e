// Any loss by a solver that iterates, under MapReduce, in scaled coordinates: stopping, separation of classes, the way
// back to the user's units.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// Collective. solver: gd or lbfgs. Throws InputError when a logistic target has one level only.
Trained fit_iterative(FitContext& context, SolverChoice solver);

}  // namespace muster
