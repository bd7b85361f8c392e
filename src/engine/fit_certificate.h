// How good the model returned is, computed from scratch over all workers.
#pragma once

#include "engine/fit_context.h"
#include "engine/fit_exact.h"

namespace muster {

// Collective. From the rows: one pass in double-double over every shard.
Certificate certify_from_rows(FitContext& context, const Trained& trained, const ColumnFacts& facts);
Certificate certify_from_rows(FitContext& context, const ExactFit& exact);

// Collective. From the statistics an exact fit was solved from; no pass over the matrix.
Certificate certify_from_statistics(FitContext& context, const ExactFit& exact);

// Collective: whether all ranks have the same numbers, bit by bit, and how far the farthest is from the first rank's.
void compare_ranks(Endpoint& endpoint, std::span<const double> mine, Certificate& certificate);

}  // namespace muster
