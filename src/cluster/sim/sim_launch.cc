#include "cluster/sim/sim_launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "cluster/group_endpoint.h"
#include "cluster/outcome.h"
#include "cluster/sim/sim_wire.h"

namespace muster {

namespace {

class SimulatedRun {
 public:
  SimulatedRun(int n, const ClusterModel& model, const EndpointOptions& options,
               const std::function<void(Endpoint&)>& rank_main)
      : simulation_(n, model, options),
        options_(options),
        rank_main_(rank_main),
        outcomes_(static_cast<std::size_t>(n)) {
    report_.finish_seconds.resize(static_cast<std::size_t>(n));
  }

  SimReport run() {
    simulation_.run([this](int rank) { run_fiber(rank); });
    const Verdict verdict = judge_all();
    if (verdict.ending != RankEnding::ok && !stall_.empty()) throw Deadlock(stalled_at_, stall_);
    raise(verdict);
    report_.seconds = *std::max_element(report_.finish_seconds.begin(), report_.finish_seconds.end());
    report_.messages = simulation_.courier().messages();
    report_.bytes = simulation_.courier().bytes();
    report_.steps = simulation_.steps();
    report_.trace_hash = simulation_.trace_hash();
    return report_;
  }

 private:
  void run_fiber(int rank) {
    SimWire wire(simulation_, rank);
    Station station(wire, options_);
    GroupEndpoint endpoint(station, Group::whole_run(wire), nullptr);
    Outcome outcome = run_rank(endpoint, [this](Endpoint& e) {
      try {
        rank_main_(e);
      } catch (const Timeout&) {
        if (stall_.empty() && simulation_.stalled()) {
          stall_ = simulation_.last_stall();
          stalled_at_ = e.now();
        }
        throw;
      }
    });
    const auto index = static_cast<std::size_t>(rank);
    report_.finish_seconds[index] = wire.now();
    if (simulation_.died(rank)) {
      report_.died.push_back(rank);
      return;
    }
    if (outcome.ending == RankEnding::ok) returned_.push_back(rank);
    note_lost(station);
    if (!outcomes_[index]) outcomes_[index] = outcome;
    endpoint.leave(outcome);
  }

  // Those found silent count as lost even if they came back.
  void note_lost(const Station& station) {
    for (int r = 0; r < simulation_.size(); ++r) {
      if (station.lost(r)) outcomes_[static_cast<std::size_t>(r)] = station.ended(r);
    }
  }

  // A node that died is the cause of a failure, and no failure by itself.
  Verdict judge_all() {
    std::sort(report_.died.begin(), report_.died.end());
    if (options_.tolerate_losses && whole_without_losses(own_outcomes())) return {};
    std::vector<std::optional<Outcome>> survivors = outcomes_;
    for (const int r : report_.died) survivors[static_cast<std::size_t>(r)].reset();
    const auto host = [this](int rank) { return simulation_.host(rank); };
    const Verdict verdict = judge(survivors, host);
    return verdict.ending == RankEnding::ok ? verdict : judge(outcomes_, host);
  }

  // To judge losses: a node that died is one whether or not somebody noticed, and a rank that returned is none, though
  // those on the other side of a cut may have lost it.
  std::vector<std::optional<Outcome>> own_outcomes() const {
    std::vector<std::optional<Outcome>> outcomes = outcomes_;
    for (const int r : report_.died) outcomes[static_cast<std::size_t>(r)] = Outcome{RankEnding::silent, r, {}, 0};
    for (const int r : returned_) outcomes[static_cast<std::size_t>(r)] = Outcome{RankEnding::ok, r, {}, 0};
    return outcomes;
  }

  Simulation simulation_;
  const EndpointOptions& options_;
  const std::function<void(Endpoint&)>& rank_main_;
  std::vector<std::optional<Outcome>> outcomes_;
  std::vector<int> returned_;
  SimReport report_;
  std::vector<BlockedRank> stall_;  // in which a deadline passed that a rank did not handle
  Time stalled_at_ = 0;
};

}  // namespace

SimReport run_simulated(int n, const ClusterModel& model, const EndpointOptions& options,
                        const std::function<void(Endpoint&)>& rank_main) {
  MUSTER_CHECK(n >= 1, "a run needs a rank");
  return SimulatedRun(n, model, options, rank_main).run();
}

}  // namespace muster
