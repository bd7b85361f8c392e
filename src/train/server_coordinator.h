// The server that knows when to stop: it estimates F and its gradient without a barrier, from what workers say of their
// shards and servers of their ranges, and keeps the history. Lives at the lowest living server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "train/parameter_server.h"
#include "train/push_pull.h"
#include "train/server_plan.h"

namespace muster {

// Why a phase ended, for the exact check that follows.
struct PhaseEnd {
  enum class Cause : std::uint8_t { estimate_met, no_progress, max_rounds, max_time, interrupted, diverged };
  Cause cause = Cause::estimate_met;
};

class ServerCoordinator {
 public:
  ServerCoordinator(const ParameterServerOptions& options, Time start);

  // The living are others than before; what was known of shards and ranges is not any more. rounds: done by then, as
  // far as this server's predecessor has said.
  void begin(const ServerPlan& plan, std::int64_t rounds);
  // A phase begins; met() must hold with the square multiplied by strictness.
  void begin_phase(double strictness);

  // One update was applied at the coordinator's range.
  void count(std::size_t worker, const WorkerNews& news, std::int64_t staleness, double rows_weight);
  // News alone: a worker that only pulls may ask for a stop.
  void hear(std::size_t worker, const WorkerNews& news);
  void part(std::size_t server, const RangeEstimate& estimate, bool cancelled);

  // As many updates as there are workers have been counted since the last.
  void end_round(Time now);
  std::optional<PhaseEnd> finished(Time now);

  const std::optional<RoundReport>& last_round() const { return last_round_; }
  std::int64_t rounds() const { return rounds_; }
  const std::vector<RoundReport>& history() const { return history_; }
  const StalenessReport& staleness() const { return staleness_; }

 private:
  void keep(const RoundReport& report);

  const ParameterServerOptions& options_;
  Time start_;
  double weight_ = 0;
  std::vector<WorkerNews> news_;      // by worker
  std::vector<RangeEstimate> parts_;  // by server
  std::int64_t rounds_ = 0;
  double epochs_ = 0, strictness_ = 1;
  std::size_t in_round_ = 0;
  std::int64_t round_staleness_ = 0;
  std::optional<RoundReport> last_round_;
  bool met_ = false, cancelled_ = false, diverged_ = false, stuck_ = false;
  double least_square_ = 0;
  std::int64_t least_round_ = 0;
  double least_epochs_ = 0;
  std::vector<RoundReport> history_;
  std::int64_t keep_every_ = 1;
  StalenessReport staleness_;
};

}  // namespace muster
