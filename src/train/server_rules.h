// Which rule a run's servers and workers follow. The one place that knows them all.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "train/parameter_server.h"
#include "train/server_rule.h"
#include "train/server_worker_rule.h"

namespace muster {

// Whether pushes are of batches of rows, not of full shards: ftrl's always, sgd's where its options ask for it.
bool takes_batches(const ParameterServerOptions& options);

// columns: of the range, as a rule of this kind gave them, or the model alone.
std::unique_ptr<ServerRule> make_server_rule(const ParameterServerOptions& options, const RunFacts& facts,
                                             KeyRange range, std::vector<std::vector<double>> columns);

// start: the model the servers start at; place: the worker's, among the living. Throws InputError where the objective
// can not be what the solver needs.
std::unique_ptr<WorkerRule> make_worker_rule(const ParameterServerOptions& options, Objective& objective,
                                             const RunFacts& facts, std::span<const double> start, std::size_t place);

}  // namespace muster
