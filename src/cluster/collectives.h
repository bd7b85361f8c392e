// Collectives over any Endpoint, in terms of its send and receive alone. Every member calls the same one with the same
// sizes, roots and operations, in the same order; each gives up at the deadline with Timeout, or with PeerLost when any
// member is lost.
//
// The order of addition is fixed by the number of members and nothing else. The defaults add in a binomial tree over
// the positions in members(), the lower position on the left of each sum, whatever the root and whenever messages
// arrive. So results have equal bits on every transport, and allreduce, which reduces and then broadcasts, has them on
// every rank.
//
// Messages carry no sequence number: each receive names its one source, each pair of members keeps its order, and all
// members go through the same collectives, so that the first message from a peer is always the one meant. After a
// collective has thrown that no longer holds: go on with shrink().
#pragma once

#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "muster/options.h"

namespace muster {

void tree_broadcast(Endpoint& endpoint, std::span<double> values, int root, Deadline deadline);
void tree_reduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, int root, Deadline deadline);
void tree_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline);
// The plain server: everybody sends to the lowest member, which adds in the order of members() and sends the sum to
// each. At the server m − 1 messages of all values in and as many out; elsewhere one each way.
void star_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline);

// The ring: values are cut into m parts, of equal size but for one value (one pair). In m − 1 steps every member passes
// a partial sum of one part to the next and adds its own to the one it gets; in m − 1 more the sums go round. A member
// sends 2(m − 1) messages and about 2(m − 1)/m of the values. Part p is added from member p on around the ring.
//
// P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", J. Parallel Distrib.
// Comput. 69 (2009) 117-124.
void ring_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline);

// By the pattern; automatic and engine: as the endpoint does.
void allreduce(Endpoint& endpoint, ReducePattern pattern, std::span<double> values, ReduceOp op, Deadline deadline);

std::vector<Buffer> flat_gather(Endpoint& endpoint, Buffer mine, int root, Deadline deadline);

// The dissemination barrier, ceil(log2 m) rounds: in round k every position i tells i + 2^k and hears from i - 2^k.
// D. Hensgen, R. Finkel, U. Manber, "Two algorithms for barrier synchronization", Int. J. Parallel Programming 17
// (1988) 1-17.
void dissemination_barrier(Endpoint& endpoint, Deadline deadline);

}  // namespace muster
