// Any loss by gradient descent under MapReduce, in scaled coordinates: stopping, separation of classes, the way back to
// the user's units.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// Collective. Throws InputError when a logistic target has one level only.
Trained fit_gd(FitContext& context);

}  // namespace muster
