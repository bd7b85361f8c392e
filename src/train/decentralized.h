// The decentralized network: no server; every node trains on its own rows and averages with its neighbours.
//
// Every rank calls train_decentralized with its own rows and the same topology; all return the same model.
// Sources are named with each rule (decentralized_rules.h; without rounds: pairwise_rule.h).
#pragma once

#include "train/session.h"
#include "train/topology.h"

namespace muster {

enum class NetworkSolver { dgd, nids, gradient_tracking, push_sum, pairwise };

struct DecentralizedOptions {
  SessionOptions session;
  NetworkSolver solver = NetworkSolver::nids;
  NetworkOptions network;
  double step_size = 0;  // α; 0: 1/L, L the largest weighted L_k. For tests of theory
};

struct DecentralizedResult {
  SessionResult session;                   // w: the average of the living nodes' copies, or the copy of network.node
  std::vector<double> consensus_distance;  // by node: |w_k − mean|; on every rank
};

DecentralizedResult train_decentralized(Objective& objective, Endpoint& endpoint, const Topology& topology,
                                        std::vector<double> start, const DecentralizedOptions& options);

}  // namespace muster
