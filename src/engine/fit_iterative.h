// Any loss by a solver that iterates, under MapReduce, in scaled coordinates: stopping,
// separation of classes, the way back to the user's units.
#pragma once

#include "engine/fit_choice.h"
#include "engine/fit_context.h"

namespace muster {

// Collective. The solver: hogwild, or one of minimise() (engine/minimise.h). Throws InputError where a class has no row
// that counts.
Trained fit_iterative(FitContext& context, const Choice& choice);

// Says in trained that an unpenalised loss of classes falls for ever along the column.
void mark_separated(const FitContext& context, std::size_t column, Trained& trained);

}  // namespace muster
