// Any loss by trainers whose workers go at their own pace: parameter server and decentralized network. The same
// problem, coordinates, criterion and certificate as under MapReduce.
#pragma once

#include "engine/fit_context.h"

namespace muster {

// Collective. Where ranks were lost on the way, context.survivors and the agreed sums are those of the living
// afterwards. Throws InputError where a class has no row that counts.
Trained fit_session(FitContext& context, SolverChoice solver);

}  // namespace muster
