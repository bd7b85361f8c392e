#include "train/server_session.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "muster/error.h"
#include "train/server_rules.h"

namespace muster {
namespace {

constexpr double kStricter = 4;            // of squares, after an exact check said no
constexpr int kChecksWithoutProgress = 3;  // then the rule has settled
constexpr double kProgress = 0.9;          // of the gradient's norm
constexpr double kSettled = 1e-5;          // likewise

}  // namespace

ServerSession::ServerSession(Objective& objective, Endpoint& endpoint, std::vector<double> start,
                             const ParameterServerOptions& options)
    : objective_(objective),
      first_(endpoint),
      options_(options),
      first_server_(endpoint.size() - options.server.servers),
      start_time_(endpoint.now()),
      columns_{start},
      w_(std::move(start)) {
  MUSTER_CHECK(options.server.servers >= 1 && first_server_ >= 1, "a parameter server needs a worker and a server");
  MUSTER_CHECK(w_.size() == objective.dimension() && options.session.penalty.size() == w_.size(),
               "one start value and one penalty for each coordinate");
  result_.session.updates.assign(static_cast<std::size_t>(endpoint.size()), 0);
  result_.session.waited_for_seconds.assign(static_cast<std::size_t>(endpoint.size()), 0.0);
}

ParameterServerResult ServerSession::run() {
  for (bool done = false; !done;) {
    try {
      if (!formed_) form();
      phase();
      assemble();
      done = check();
      if (done) share();
    } catch (const PeerLost& lost) {
      if (!formed_ || options_.session.losses_end_run) throw;  // not formed: nothing to go on from
      done = false;
      recover(lost.what());
    } catch (const MembershipChanged&) {
      done = false;
      recover({});
    }
  }
  result_.session.w = std::move(w_);
  result_.session.survivors = std::move(survivors_);
  return std::move(result_);
}

void ServerSession::form() {
  plan_ = make_plan(objective_, endpoint(), first_server_, options_);
  MapReduceOptions exact;
  exact.penalty = options_.session.penalty;
  exact.l1 = options_.session.l1;
  exact_ = std::make_unique<MapReduce>(objective_, endpoint(), exact);
  if (serves()) {
    MUSTER_CHECK(objective_.rows() == 0, "a server has no rows");
    const KeyRange range = plan_.range_of(rank());
    Columns part;
    for (const std::vector<double>& column : columns_)
      part.emplace_back(column.begin() + static_cast<std::ptrdiff_t>(range.begin),
                        column.begin() + static_cast<std::ptrdiff_t>(range.end));
    if (rank() == plan_.coordinator()) {
      if (!coordinator_) coordinator_ = std::make_unique<ServerCoordinator>(options_, start_time_);
      coordinator_->begin(plan_, result_.session.rounds);
    }
    server_ = std::make_unique<ServerLoop>(endpoint(), options_, plan_,
                                           make_server_rule(options_, plan_.facts, range, std::move(part)),
                                           coordinator_.get());
  } else {
    worker_ = std::make_unique<ServerWorker>(
        endpoint(), options_, plan_,
        make_worker_rule(options_, objective_, plan_.facts, columns_[0], plan_.place(rank())), columns_[0]);
  }
  formed_ = true;
}

void ServerSession::phase() {
  if (coordinator_) coordinator_->begin_phase(strictness_);
  if (serves()) {
    end_ = server_->serve();
  } else {
    worker_->work();
  }
}

void ServerSession::assemble() {
  std::vector<double> w(w_.size());
  for (std::size_t s = 0; s < plan_.servers.size(); ++s) {
    const KeyRange range = plan_.ranges[s];
    if (range.size() == 0) continue;
    const std::span<double> part = std::span<double>(w).subspan(range.begin, range.size());
    if (plan_.servers[s] == rank()) server_->rule().read(part);
    endpoint().broadcast(part, plan_.servers[s], Deadline::never());
  }
  if (std::all_of(w.begin(), w.end(), [](double value) { return std::isfinite(value); })) {
    w_ = std::move(w);
  } else {
    end_ = PhaseEnd{PhaseEnd::Cause::diverged};  // equal on every rank; the last finite model stays
  }
}

// True: done. Deterministic in numbers that are equal on all ranks.
bool ServerSession::check() {
  double agreed[4] = {0, 0, end_ && end_->cause == PhaseEnd::Cause::diverged ? 1.0 : 0.0, 0};
  if (rank() == plan_.coordinator()) {
    agreed[0] = static_cast<double>(end_->cause);
    agreed[1] = static_cast<double>(coordinator_->rounds());
    if (coordinator_->last_round()) agreed[3] = coordinator_->last_round()->gradient_norm;
  }
  share_numbers(agreed);
  const auto cause = agreed[2] > 0 ? PhaseEnd::Cause::diverged : static_cast<PhaseEnd::Cause>(agreed[0]);
  result_.session.rounds = static_cast<std::int64_t>(agreed[1]);

  std::vector<double> gradient(w_.size());
  RoundState exact{result_.session.rounds, w_, gradient, 0, 0, {}};
  exact.value = exact_->value_and_gradient(w_, gradient);
  exact.tallies = exact_->tallies();
  for (const double g : minimum_norm_subgradient(w_, gradient, options_.session.l1)) exact.gradient_norm += g * g;
  exact.gradient_norm = std::sqrt(exact.gradient_norm);
  if (options_.session.judge) {
    const Problem::Verdict verdict = options_.session.judge(exact);
    if (verdict.stop) return finish(verdict.reason, verdict.detail), true;
  }
  switch (cause) {
    case PhaseEnd::Cause::diverged:
      return finish(StopReason::diverged, "a step was not finite"), true;
    case PhaseEnd::Cause::max_rounds:
      return finish(StopReason::max_rounds, "the limit on rounds or epochs was reached"), true;
    case PhaseEnd::Cause::max_time:
      return finish(StopReason::max_time, "the limit on time was reached"), true;
    case PhaseEnd::Cause::interrupted:
      return finish(StopReason::interrupted, "a stop was asked for"), true;
    case PhaseEnd::Cause::estimate_met:
      if (!options_.session.judge)
        return finish(StopReason::converged, "the estimated gradient met the tolerance"), true;
      strictness_ *= kStricter;
      break;
    case PhaseEnd::Cause::no_progress:
      break;
  }
  if (!has_settled(exact.gradient_norm, agreed[3])) return false;
  return finish(StopReason::stalled, "the rule has settled, and not at the minimiser: see its gradient"), true;
}

// own: the gradient that still moves the rule, as the servers estimate it. Settled: nothing to speak of does, or
// neither gradient has shrunk for some checks.
bool ServerSession::has_settled(double exact, double own) {
  if (own <= kSettled * exact) return true;
  const bool better = exact < kProgress * best_exact_ || own < kProgress * best_own_;
  best_exact_ = std::min(best_exact_, exact);
  best_own_ = std::min(best_own_, own);
  checks_without_progress_ = better ? 0 : checks_without_progress_ + 1;
  return checks_without_progress_ >= kChecksWithoutProgress;
}

void ServerSession::finish(StopReason reason, std::string detail) {
  result_.session.reason = reason;
  result_.session.detail = std::move(detail);
}

// What only the coordinator and each worker know, to all.
void ServerSession::share() {
  SessionResult& session = result_.session;
  if (worker_) session.compute_seconds += worker_->compute_seconds();
  std::vector<double> updates(session.updates.size(), 0.0);
  for (std::size_t r = 0; r < updates.size(); ++r) updates[r] = static_cast<double>(session.updates[r]);
  if (worker_) updates[static_cast<std::size_t>(rank())] += static_cast<double>(worker_->updates());
  endpoint().allreduce(updates, ReduceOp::sum, Deadline::never());
  for (std::size_t r = 0; r < updates.size(); ++r) session.updates[r] = static_cast<std::int64_t>(updates[r]);

  if (server_ && rank() == plan_.coordinator()) absorb_gate();
  share_numbers(session.waited_for_seconds);
  const bool coordinates = rank() == plan_.coordinator();
  StalenessReport staleness = coordinates ? coordinator_->staleness() : StalenessReport();
  if (coordinates) session.history = coordinator_->history();
  double counts[6] = {static_cast<double>(staleness.histogram.size()), static_cast<double>(session.history.size()),
                      static_cast<double>(staleness.updates),          staleness.mean,
                      static_cast<double>(staleness.largest),          static_cast<double>(largest_gap_)};
  share_numbers(counts);
  std::vector<double> histogram(staleness.histogram.begin(), staleness.histogram.end());
  histogram.resize(static_cast<std::size_t>(counts[0]));
  share_numbers(histogram);
  result_.staleness = {.histogram = {histogram.begin(), histogram.end()},
                       .updates = static_cast<std::int64_t>(counts[2]),
                       .mean = counts[3],
                       .largest = static_cast<std::int64_t>(counts[4]),
                       .largest_clock_gap = static_cast<std::int64_t>(counts[5])};
  session.history.resize(static_cast<std::size_t>(counts[1]));
  for (RoundReport& round : session.history) {
    double numbers[5] = {static_cast<double>(round.round), round.seconds, round.objective, round.gradient_norm,
                         round.staleness.value_or(0)};
    share_numbers(numbers);
    round = {static_cast<std::int64_t>(numbers[0]), numbers[1], numbers[2], numbers[3], numbers[4], std::nullopt};
  }
}

// The account of one membership's waiting, by rank.
void ServerSession::absorb_gate() {
  const std::vector<double>& waited = server_->gate().waited_for_seconds();
  for (std::size_t k = 0; k < waited.size(); ++k)
    result_.session.waited_for_seconds[static_cast<std::size_t>(plan_.workers[k])] += waited[k];
  largest_gap_ = std::max(largest_gap_, server_->gate().largest_gap());
}

ParameterServerResult train_parameter_server(Objective& objective, Endpoint& endpoint, std::vector<double> start,
                                             const ParameterServerOptions& options) {
  return ServerSession(objective, endpoint, std::move(start), options).run();
}

}  // namespace muster
