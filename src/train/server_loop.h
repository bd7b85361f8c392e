// A server: one key range, one rule, one loop. It takes requests as they come, applies what they push, and answers each
// with the values of its range, at once or when the gate lets the worker go on.
//
//     asynchronous, ssp   a push is applied when it arrives
//     bulk synchronous    pushes are kept until every worker's of the clock is there, then applied together
//
// A phase ends when every worker has said goodbye. That is each worker's last message, so nothing is under way then.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/endpoint.h"
#include "train/parameter_server.h"
#include "train/push_pull.h"
#include "train/server_coordinator.h"
#include "train/server_gate.h"
#include "train/server_plan.h"
#include "train/server_rule.h"

namespace muster {

class ServerLoop {
 public:
  // coordinator: null but at the lowest living server. All arguments outlive this.
  ServerLoop(Endpoint& endpoint, const ParameterServerOptions& options, const ServerPlan& plan,
             std::unique_ptr<ServerRule> rule, ServerCoordinator* coordinator);

  // One phase; at the coordinator: why it ended. Throws PeerLost where any rank is lost, with workers unanswered:
  // tell_membership() is for them. Throws ClusterError, naming the sender, for a malformed message.
  std::optional<PhaseEnd> serve();

  // Every worker's next answer says that the survivors meet.
  void tell_membership();

  const ServerRule& rule() const { return *rule_; }
  const ServerGate& gate() const { return gate_; }
  // The last state received of another server's range; null: none.
  const std::vector<std::vector<double>>* replica(int server) const;

 private:
  struct Worker {
    KeyListCache cache;
    Request request;       // the last, its answer owed
    bool pending = false;  // bulk synchronous: pushed, not applied
    bool left = false;
    std::int64_t seen = 0;     // updates applied when it was last answered
    std::vector<double> copy;  // what it has of the range, where anybody asks for that
    bool has_copy = false;
  };

  void on_request(const Message& message);
  void apply(std::size_t k);
  void apply_pending();
  void end_round();
  void answer_released(bool may_finish);
  void answer(std::size_t k);
  void send_part();
  void send_replicas();
  void on_part(const Message& message);
  void on_replica(const Message& message);
  std::string name(int rank) const;
  bool synchronous() const { return options_.session.sync.kind == Synchronisation::Kind::bsp; }

  Endpoint& endpoint_;
  const ParameterServerOptions& options_;
  const ServerPlan& plan_;
  std::unique_ptr<ServerRule> rule_;
  ServerCoordinator* coordinator_;
  KeyRange range_;
  std::vector<double> scale_;  // StopEstimate's, of the range
  Codec codec_;
  bool lossy_;
  ServerGate gate_;
  std::vector<Worker> workers_;
  std::int64_t updates_ = 0, rounds_ = 0;
  std::size_t in_round_ = 0;
  std::optional<PhaseEnd> end_;
  std::int64_t told_round_ = 0;  // the last one the lowest worker has been told of
  std::map<int, std::vector<std::vector<double>>> replicas_;
};

}  // namespace muster
