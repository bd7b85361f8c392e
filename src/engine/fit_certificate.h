// How good the model returned is, computed from scratch over all workers.
#pragma once

#include "engine/fit_context.h"
#include "engine/fit_exact.h"

namespace muster {

// Collective. From the rows: one pass in double-double over every shard.
Certificate certify_from_rows(FitContext& context, const Trained& trained, const ExactFit* exact);

// Collective. From the statistics an exact fit was solved from; no pass over the matrix.
Certificate certify_from_statistics(FitContext& context, const ExactFit& exact);

}  // namespace muster
