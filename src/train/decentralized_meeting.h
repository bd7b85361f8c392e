// The one barrier of the decentralized network: all nodes meet, and F and its gradient are computed exactly, over all
// rows, at the model the run would return.
#pragma once

#include <string>
#include <vector>

#include "train/decentralized_stage.h"
#include "train/mapreduce.h"

namespace muster {

struct MeetingOptions {
  std::vector<int> training;  // ranks whose copies count
  int node = -1;              // whose copy is the model; -1, or not training: the average
  std::function<Problem::Verdict(const RoundState&)> judge;
  std::vector<double> l1;
};

struct Meeting {
  std::vector<double> w;                   // equal bit for bit on every rank
  std::vector<double> consensus_distance;  // by rank; 0 where it does not train
  Ending ending = Ending::met;             // the last of all nodes' endings
  bool stop = false;
  StopReason reason = StopReason::converged;
  std::string detail;
  RoundReport exact;
};

// Collective over the endpoint's members, ranks that do not train included; copy and ending are those of a rank that
// trains. all: the objective of all rows, on that endpoint.
Meeting meet(Endpoint& endpoint, MapReduce& all, std::span<const double> copy, Ending ending, const NetworkRun& run,
             const MeetingOptions& options);

}  // namespace muster
