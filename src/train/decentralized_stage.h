// Training on one network, until the nodes agree to meet, or one is lost. decentralized_network.cc makes a new stage
// after a loss; a stage is decentralized_rounds.h (synchronous) or decentralized_pairwise.h (asynchronous).
#pragma once

#include <cstdint>
#include <vector>

#include "train/decentralized.h"
#include "train/decentralized_node.h"

namespace muster {

// Why the nodes meet; of several the last counts.
enum class Ending : int { met, stalled, max_rounds, max_time, interrupted, diverged };

// What lasts as long as the run.
struct NetworkRun {
  Time start = 0;
  std::int64_t rounds = 0;  // of this node; asynchronous: its steps
  std::vector<RoundReport> history;
  std::vector<double> waited_for_seconds;  // by rank: this rank's waiting for it

  void record(const RoundReport& report) {
    if (++reports_ % keep_every_ != 0) return;
    history.push_back(report);
    if (history.size() <= 1000) return;
    for (std::size_t i = 0; 2 * i < history.size(); ++i) history[i] = history[2 * i];
    history.resize((history.size() + 1) / 2);
    keep_every_ *= 2;
  }

 private:
  std::int64_t reports_ = 0, keep_every_ = 1;
};

struct StageContext {
  Endpoint& endpoint;
  const Topology& topology;  // of the endpoint's members; strongly connected
  NodeObjective& node;
  const DecentralizedOptions& options;
  NetworkRun& run;
  int first = 0;         // the lowest member: its clock is the time limit's, it alone calls on_round
  double lipschitz = 1;  // L: the largest of all φ_k
  Spectrum spectrum;

  bool cancelled() const {
    const CancellationToken* token = options.session.cancellation;
    return token != nullptr && token->cancelled();
  }
  bool out_of_time() const {
    return endpoint.rank() == first && endpoint.now() - run.start >= options.session.max_seconds;
  }
};

class Stage {
 public:
  virtual ~Stage() = default;
  // Collective over the network; afterwards no message of it is under way. Throws PeerLost.
  virtual Ending train() = 0;
  // The judge wants more: the estimate is to be stricter.
  virtual void tighten() = 0;
  virtual const std::vector<double>& w() const = 0;  // the own copy; finite
};

}  // namespace muster
