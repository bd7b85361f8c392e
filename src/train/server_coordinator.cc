#include "train/server_coordinator.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace muster {
namespace {

constexpr std::size_t kMostRounds = 1000;
constexpr std::size_t kStalenessBins = 256;
// Rounds in which the gradient has not halved, after which the exact check looks whether there is progress at all: at
// least so many, and a third of the rounds so far, so that a slow run is checked ever more rarely.
constexpr std::int64_t kPatienceRounds = 300;
constexpr double kPatienceEpochs = 10;  // where a round is a few rows

}  // namespace

ServerCoordinator::ServerCoordinator(const ParameterServerOptions& options, Time start)
    : options_(options), start_(start) {}

void ServerCoordinator::begin(const ServerPlan& plan, std::int64_t rounds) {
  rounds_ = std::max(rounds_, rounds);
  weight_ = plan.facts.weight;
  news_.assign(plan.workers.size(), {});
  for (std::size_t k = 0; k < news_.size(); ++k) news_[k].has_value = plan.facts.weights[k] == 0;
  parts_.assign(plan.servers.size(), {});
  in_round_ = 0;
}

void ServerCoordinator::begin_phase(double strictness) {
  strictness_ = strictness;
  met_ = stuck_ = false;
  least_square_ = std::numeric_limits<double>::infinity();
  least_round_ = rounds_;
  least_epochs_ = epochs_;
}

void ServerCoordinator::hear(std::size_t worker, const WorkerNews& news) {
  if (news.has_value) news_[worker] = news;
  cancelled_ = cancelled_ || news.cancelled;
  diverged_ = diverged_ || news.diverged;
}

void ServerCoordinator::count(std::size_t worker, const WorkerNews& news, std::int64_t staleness, double rows_weight) {
  hear(worker, news);
  ++in_round_;
  epochs_ += rows_weight / weight_;
  round_staleness_ += staleness;
  auto& histogram = staleness_.histogram;
  const std::size_t bin = std::min(static_cast<std::size_t>(staleness), kStalenessBins - 1);
  if (bin >= histogram.size()) histogram.resize(bin + 1, 0);
  ++histogram[bin];
  staleness_.mean += (static_cast<double>(staleness) - staleness_.mean) / static_cast<double>(++staleness_.updates);
  staleness_.largest = std::max(staleness_.largest, staleness);
}

void ServerCoordinator::part(std::size_t server, const RangeEstimate& estimate, bool cancelled) {
  parts_[server] = estimate;
  cancelled_ = cancelled_ || cancelled;
}

void ServerCoordinator::end_round(Time now) {
  ++rounds_;
  RoundReport report{.round = rounds_, .seconds = now - start_};
  report.staleness = static_cast<double>(round_staleness_) / static_cast<double>(in_round_);
  in_round_ = 0;
  round_staleness_ = 0;
  double value = 0, square = 0, plain = 0;
  bool known = true;
  for (const WorkerNews& news : news_) {
    value += news.value / weight_;
    known = known && news.has_value;
  }
  for (const RangeEstimate& part : parts_) {
    value += part.penalty;
    square += part.square;
    plain += part.plain;
    known = known && part.known;
  }
  if (!known) return;
  diverged_ = diverged_ || !std::isfinite(value) || !std::isfinite(plain);
  report.objective = value;
  report.gradient_norm = std::sqrt(plain);
  keep(report);
  if (options_.session.estimate.met) met_ = options_.session.estimate.met(value, square * strictness_);
  if (square <= 0.25 * least_square_) {
    least_square_ = square;
    least_round_ = rounds_;
    least_epochs_ = epochs_;
  }
  stuck_ =
      rounds_ - least_round_ >= std::max(kPatienceRounds, rounds_ / 3) && epochs_ - least_epochs_ >= kPatienceEpochs;
}

void ServerCoordinator::keep(const RoundReport& report) {
  last_round_ = report;
  if ((report.round - 1) % keep_every_ == 0) history_.push_back(report);
  if (history_.size() <= kMostRounds) return;
  for (std::size_t i = 0; 2 * i < history_.size(); ++i) history_[i] = history_[2 * i];  // keep every second one
  history_.resize((history_.size() + 1) / 2);
  keep_every_ *= 2;
}

std::optional<PhaseEnd> ServerCoordinator::finished(Time now) {
  const SessionOptions& session = options_.session;
  if (diverged_) return PhaseEnd{PhaseEnd::Cause::diverged};
  if (cancelled_ || (session.cancellation != nullptr && session.cancellation->cancelled()))
    return PhaseEnd{PhaseEnd::Cause::interrupted};
  if (met_) return PhaseEnd{PhaseEnd::Cause::estimate_met};
  if (rounds_ >= session.max_rounds || epochs_ >= session.max_epochs) return PhaseEnd{PhaseEnd::Cause::max_rounds};
  if (now - start_ >= session.max_seconds) return PhaseEnd{PhaseEnd::Cause::max_time};
  if (stuck_) return PhaseEnd{PhaseEnd::Cause::no_progress};
  return std::nullopt;
}

}  // namespace muster
