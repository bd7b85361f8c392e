// The one barrier of the decentralized network: all nodes that train together meet, and F and its gradient are computed
// exactly, over all their rows, at the model the run would return.
#pragma once

#include <string>
#include <vector>

#include "train/decentralized_stage.h"
#include "train/mapreduce.h"

namespace muster {

struct MeetingOptions {
  int node = -1;  // whose copy is the model; -1, or no member: the average
  std::function<Problem::Verdict(const RoundState&)> judge;
  std::vector<double> l1;
};

struct Meeting {
  std::vector<double> w;                   // equal bit for bit on every rank
  std::vector<double> consensus_distance;  // by rank; 0 where it is no member
  Ending ending = Ending::met;             // the last of all nodes' endings
  bool stop = false;
  StopReason reason = StopReason::converged;
  std::string detail;
  RoundReport exact;
};

// Collective over the endpoint's members, whose copies count alike. all: the objective of their rows, on that endpoint.
Meeting meet(Endpoint& endpoint, MapReduce& all, std::span<const double> copy, Ending ending, const NetworkRun& run,
             const MeetingOptions& options);

}  // namespace muster
