// Ranks as fibres of this thread, on a virtual clock and a modelled network: nothing takes real time but the code
// itself.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cluster/endpoint.h"
#include "cluster/sim/cluster_model.h"
#include "cluster/sim/deadlock.h"

namespace muster {

struct SimReport {
  double seconds = 0;                  // virtual, until the last rank's main returned
  std::vector<double> finish_seconds;  // by rank; of one whose node died, when it died
  std::vector<int> died;               // ranks whose nodes died before their main returned
  std::uint64_t messages = 0;
  double bytes = 0;              // headers included
  std::uint64_t steps = 0;       // of the simulator
  std::uint64_t trace_hash = 0;  // equal for equal runs, and for no others
};

// Runs rank_main(endpoint) once as each of n >= 1 ranks and returns when all have returned. Deterministic: the same
// description, seeds and rank_main give the same run bit for bit, provided that rank_main itself depends on nothing
// else.
//
// Failure: as run_threads, in virtual time. A node that dies as described is no failure of the run where every other
// rank returns or, with options.tolerate_losses, is lost in another way. Besides: Deadlock, when all ranks are blocked,
// nothing is under way and no deadline can change it; also in place of a Timeout that a rank did not handle, if
// everybody was blocked when it came.
//
// A rank's main must not wait for another rank by any other means than its endpoint. Threads: the caller's alone.
SimReport run_simulated(int n, const ClusterModel& model, const EndpointOptions& options,
                        const std::function<void(Endpoint&)>& rank_main);

}  // namespace muster
