// The decentralized network: no server; every node trains on its own rows and averages with its neighbours.
//
// Every rank calls train_decentralized with its own rows and the same topology; all return the same model, or, of a
// network that losses have cut into parts, all ranks of a part.
// Sources are named with each rule (decentralized_rules.h; without rounds: pairwise_rule.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/session.h"
#include "train/topology.h"

namespace muster {

enum class NetworkSolver { dgd, nids, gradient_tracking, push_sum, pairwise };

struct DecentralizedOptions {
  SessionOptions session;
  NetworkSolver solver = NetworkSolver::nids;
  NetworkOptions network;
  double step_size = 0;  // α; 0: 1/L, L the largest weighted L_k. For tests of theory
  // After a loss: collective over those that go on together, before they do, with the rows they hold by then. Returns
  // the estimate from there on. Empty: it stays as it was.
  std::function<StopEstimate(Endpoint& group)> regroup;
};

struct DecentralizedResult {
  SessionResult session;                   // w: the average of the living nodes' copies, or the copy of network.node
  std::vector<double> consensus_distance;  // by node: |w_k − mean|; on every rank
  NetworkSolver solver = NetworkSolver::nids;  // at the end: after a loss it may be another than was asked for
  std::vector<std::string> notes;              // of what losses have changed
  // Losses have cut the network (NetworkOptions::allow_parts), and this is the result of the part that this rank is in:
  // the model of its rows, and its nodes alone are session.survivors and share the result.
  bool cut = false;
  bool leads = true;  // cut: of all parts, this one has the lowest rank; on_round was called in it and in no other
};

DecentralizedResult train_decentralized(Objective& objective, Endpoint& endpoint, const Topology& topology,
                                        std::vector<double> start, const DecentralizedOptions& options);

}  // namespace muster
