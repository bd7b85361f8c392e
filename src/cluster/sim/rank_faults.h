// A described cluster's faults for a FaultyEndpoint, so that one description serves simulated and real transports.
#pragma once

#include "cluster/faulty_endpoint.h"
#include "cluster/sim/cluster_model.h"

namespace muster {

// What befalls this rank of a run of so many: its node's death and persistent factor (where it makes it slower), and
// the delays of its links. Pauses, cuts and losses are the simulator's alone: a decorator can not silence a real rank.
RankFaults rank_faults(const ClusterModel& model, int rank, int ranks);

}  // namespace muster
