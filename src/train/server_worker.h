// A worker: pull, compute, push, again and again, at its own speed. One request a clock to each server pushes what the
// last step found and pulls what the next one needs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/endpoint.h"
#include "train/parameter_server.h"
#include "train/push_pull.h"
#include "train/server_plan.h"
#include "train/server_worker_rule.h"

namespace muster {

// Not an error: a server says that a rank was lost, and that the survivors meet.
struct MembershipChanged {};

class ServerWorker {
 public:
  // start: the model the servers start at. All arguments outlive this.
  ServerWorker(Endpoint& endpoint, const ParameterServerOptions& options, const ServerPlan& plan,
               std::unique_ptr<WorkerRule> rule, std::vector<double> start);

  // One phase: until the coordinator says to finish. Throws PeerLost for a server, or MembershipChanged.
  void work();

  std::int64_t updates() const { return clock_; }
  double compute_seconds() const { return compute_seconds_; }

 private:
  // The keys of one step, cut along the servers' ranges.
  struct Cut {
    std::size_t begin = 0, end = 0;  // places in the list of keys, or keys where dense
  };

  void choose();
  void request(Request::Kind kind);
  bool take_answers();
  void step();
  Cut cut(const std::vector<std::uint32_t>& keys, std::size_t server) const;
  WorkerNews news();

  Endpoint& endpoint_;
  const ParameterServerOptions& options_;
  const ServerPlan& plan_;
  std::unique_ptr<WorkerRule> rule_;
  Codec codec_;
  bool lossy_;
  std::vector<KeyListCache> caches_;            // by server
  std::vector<double> w_;                       // the model as far as pulled
  std::vector<double> carry_;                   // error feedback: what compression has kept back, by key
  std::vector<std::uint32_t> pushed_, wanted_;  // keys of the step done and of the next
  std::vector<double> pulled_;
  std::vector<double> extras_;
  WorkerStep step_;
  bool diverged_ = false;
  std::int64_t clock_ = 0;
  double own_weight_, pass_value_ = 0, pass_weight_ = 0;  // of the pass over the rows under way
  WorkerNews news_;
  double compute_seconds_ = 0;
};

}  // namespace muster
