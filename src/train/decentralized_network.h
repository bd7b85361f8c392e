// One rank's run of the decentralized network: set-up, stages of training, meetings, and what follows a loss.
//
// A loss: the neighbour that misses a node's message tells its own neighbours, who tell theirs, and all survivors meet
// in Endpoint::shrink(). So do those who saw no loss and are done, or a death in the last exchange would leave some
// with a model and others to train on alone. They drop the node from the topology, whose weights are renormalised,
// share its rows out where the caller can have them read again, and begin the rule anew from their present copies: what
// an exact rule keeps beside the copies belongs to the old network.
//
// A cut: where the network falls into parts and the caller allows it, each part goes on as a network of its own, on the
// sum over its own rows. All know the parts without a word, and from there on no part waits for another, or hears of
// it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "muster/error.h"
#include "train/decentralized_meeting.h"
#include "train/decentralized_stage.h"

namespace muster {

class NetworkSession {
 public:
  NetworkSession(Objective& objective, Endpoint& endpoint, const Topology& topology, std::vector<double> start,
                 const DecentralizedOptions& options);
  ~NetworkSession();

  DecentralizedResult run();

 private:
  Endpoint& endpoint() { return survivors_.empty() ? given_ : *survivors_.back(); }
  void check() const;
  void check_rule() const;
  void set_up();
  Meeting train_and_meet();
  void leave_network();
  std::vector<double> count();
  // Whether members are gone: then a network of the others is to be set up. lost: the loss seen here, or null.
  bool shrink(const PeerLost* lost);
  void bury(int dead, const std::string& sentence);
  void keep_part();
  void change_to_push_sum();
  std::vector<int> neighbours(int node) const;
  DecentralizedResult finish(Meeting meeting, std::span<const double> counts);

  Objective& objective_;
  Endpoint& given_;
  std::vector<std::unique_ptr<Endpoint>> survivors_;  // each made from the one before
  Topology topology_;
  DecentralizedOptions options_;
  std::vector<double> w_;
  NetworkRun run_;
  std::vector<LostRank> lost_;
  std::vector<std::string> notes_;
  bool cut_ = false, leads_ = true;  // DecentralizedResult

  // Of the present network:
  std::unique_ptr<NodeObjective> node_;
  std::unique_ptr<MapReduce> all_;
  std::unique_ptr<Stage> stage_;
  double compute_seconds_ = 0;
  std::int64_t gradients_ = 0;
};

}  // namespace muster
