// The change of variables that solvers work in, agreed by all ranks.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// Fills context.agreed. Collective. Throws InputError, the same on every rank: no rows that count, or a column whose
// squares overflow.
void agree_on_scaling(FitContext& context);

}  // namespace muster
