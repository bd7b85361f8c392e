// --max-epochs 1 of sgd, ftrl and hogwild in one process: files are read once, and learned from while they are
// (train/one_pass.h).
#pragma once

#include <functional>

#include "data/load.h"
#include "data/one_reading.h"
#include "engine/fit.h"
#include "engine/reporter.h"
#include "train/one_pass.h"

namespace muster {

// Whether these options ask for one pass, and for nothing that it has not: a second look at the rows, rounds, messages,
// or steps of many rows.
bool asks_for_one_pass(const TrainOptions& options, TransportChoice transport);

// The options of its ranks: no servers, since in one process all learners reach the model; each of as many ranks as
// there were threads in all learns by itself.
TrainOptions options_of_one_pass(TrainOptions options);

OnlineProblem online_problem(const TrainOptions& options);

struct OnePassFit {
  Dataset data;      // without rows
  FitResult fitted;  // the model at the speaker alone
};

// Collective. shared: one of all ranks. load: with as many readers as there are ranks.
OnePassFit fit_in_one_pass(const TrainOptions& options, const LoadRequest& load, const StreamOptions& stream,
                           OnePass& shared, Endpoint& endpoint, Reporter& reporter);

}  // namespace muster
