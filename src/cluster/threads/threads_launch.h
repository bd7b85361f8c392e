// Ranks as threads of this process. A message moves a pointer; waiting is on condition variables.
#pragma once

#include <functional>

#include "cluster/endpoint.h"

namespace muster {

// Runs rank_main(endpoint) once on each of n >= 1 new threads and returns when all have returned.
//
// Failure, always within some 10 seconds of its cause:
//  - InputError or Cancelled thrown by a rank while no other rank was harmed is the outcome of all, also of those that
//    wait for it: that of the lowest such rank is thrown.
//  - A rank that throws anything else closes its endpoint with the cause; peers that wait for it get PeerLost. A
//  ClusterError
//    naming that rank, its host and the cause is thrown.
//  - A rank that other ranks wait for and that does not call into its endpoint for options.silence_seconds is lost:
//    its waiters get PeerLost, and PeerLost naming it is thrown here.
//  - With options.tolerate_losses, ranks that throw or are lost so, alone, end nothing: their peers get PeerLost as
//    always, and where all of these return, so does this function, whenever that is. InputError, Cancelled and PeerLost
//    that leave a rank's main are not tolerated.
// A thread can not be ended from outside. Where one has not come back, this function still ends and leaves that
// thread running, detached, on its own copy of rank_main; what rank_main refers to must then outlive it, so the caller
// is expected to exit the process (without unwinding what the thread may use).
void run_threads(int n, const EndpointOptions& options, const std::function<void(Endpoint&)>& rank_main);

}  // namespace muster
