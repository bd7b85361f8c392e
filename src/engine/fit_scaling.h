// The change of variables that solvers work in, agreed by all ranks.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// The rows of all ranks and their kind: what a choice of solver asks for. Fills the front of context.agreed.
// Collective.
void agree_on_rows(FitContext& context);

// After that, the rest of context.agreed, in two passes: centres and scales of columns and target. Collective. Throws
// InputError, the same on every rank: no rows that count, or a column whose squares overflow.
void agree_on_scaling(FitContext& context);

// The same in one pass, which gives statistics of all rows as well, in float64 at the first rank: they are summed
// around the mean of the first rows of every rank, so near the means wherever rows are in no particular order. What was
// lost where they are not, solve_exact() tells.
Statistics agree_on_statistics(FitContext& context);

// After losses: the rows, weight and target centre of those who are left. The scaling stays: coordinates are for a run.
// Collective. Throws InputError as above.
void agree_on_rows_left(FitContext& context);

}  // namespace muster
