// One rank's part in a run of the parameter server: phases of pushes and pulls, each followed by a meeting of all.
//
//     form       agree on the facts and the plan; servers make their rules, workers theirs
//     phase      push and pull without barriers until the coordinator says to finish
//     assemble   the owners of ranges broadcast them
//     check      F and its gradient exactly, at the assembled model; done, or the next phase with a stricter estimate
//     recover    after a loss anywhere in the above: the survivors agree who they are, take over rows and ranges, and
//     form
//                again
//
// A loss breaks the phase for all: servers await messages from any rank, so each hears of it and tells its workers,
// instead of values, to meet the survivors. It costs one barrier, and needs no agreement while messages are under way.
// A second loss while the first is being recovered from ends the run by name.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/mapreduce.h"
#include "train/parameter_server.h"
#include "train/server_coordinator.h"
#include "train/server_loop.h"
#include "train/server_plan.h"
#include "train/server_worker.h"

namespace muster {

class ServerSession {
 public:
  ServerSession(Objective& objective, Endpoint& endpoint, std::vector<double> start,
                const ParameterServerOptions& options);
  ParameterServerResult run();

 private:
  using Columns = std::vector<std::vector<double>>;

  Endpoint& endpoint() { return survivors_ ? *survivors_ : first_; }
  int rank() const { return first_.rank(); }
  bool serves() const { return rank() >= first_server_; }

  void form();
  void phase();
  void assemble();
  bool check();
  bool has_settled(double exact, double own);
  void finish(StopReason reason, std::string detail);
  void share();
  void absorb_gate();
  void share_numbers(std::span<double> numbers) {
    endpoint().broadcast(numbers, plan_.coordinator(), Deadline::never());
  }

  // server_recovery.cc
  void recover(const std::string& sentence);
  std::string agree_on_sentence(const std::string& mine);
  void take_over_rows(LostRank& lost);
  void take_over_ranges(std::span<const LostRank> losses);
  void restore(std::span<const LostRank> losses, int lost_server);
  [[noreturn]] void end_by_name(const LostRank& lost, const std::string& why) const;

  Objective& objective_;
  Endpoint& first_;
  const ParameterServerOptions& options_;
  const int first_server_;
  const Time start_time_;
  std::unique_ptr<Endpoint> survivors_;

  Columns columns_;        // the state all servers start from when formed: of all keys, the model first
  std::vector<double> w_;  // the model last assembled that is finite
  ServerPlan plan_;
  std::unique_ptr<ServerCoordinator> coordinator_;
  std::unique_ptr<ServerLoop> server_;
  std::unique_ptr<ServerWorker> worker_;
  std::unique_ptr<MapReduce> exact_;
  bool formed_ = false;

  std::optional<PhaseEnd> end_;
  double strictness_ = 1;
  double best_exact_ = std::numeric_limits<double>::infinity(), best_own_ = best_exact_;
  int checks_without_progress_ = 0;
  std::int64_t largest_gap_ = 0;

  ParameterServerResult result_;
};

}  // namespace muster
