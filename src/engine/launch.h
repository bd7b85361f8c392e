// From options to ranks: which transport a run has, how many ranks, and their start. The only place that names a
// concrete transport.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/endpoint.h"
#include "muster/options.h"

namespace muster {

// Never automatic. Throws InputError where the transport asked for can not be had, or does not go with the launcher.
TransportChoice choose_transport(const RunOptions& run);
const char* name(TransportChoice transport);

// What --reduce auto and engine come to there.
ReducePattern pattern_used(const RunOptions& run, TransportChoice transport, bool columns_are_cut);

// Of so many ranks, those that have rows, the first: under a parameter server the last ranks are servers.
int readers_of(const RunOptions& run, int ranks);
// Threads of each of them.
int threads_of(const RunOptions& run);
// In one process, threads of all workers together.
int learners_of(const RunOptions& run);

// Runs rank_main on every rank, as the transport (cluster/threads, cluster/mpi, cluster/sim) says, with its failures.
// Throws InputError where the launcher's ranks are not those asked for. Returns what the user should know of it.
std::vector<std::string> launch(TransportChoice transport, const RunOptions& run, const EndpointOptions& options,
                                const std::function<void(Endpoint&)>& rank_main);

}  // namespace muster
