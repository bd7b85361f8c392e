#include "train/decentralized_meeting.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace muster {
namespace {

// The average of the copies, or the one asked for.
std::vector<double> choose_model(Endpoint& endpoint, std::span<const double> copy, std::span<const double> mean,
                                 const MeetingOptions& options) {
  const std::vector<int>& members = endpoint.members();
  const bool one = std::binary_search(members.begin(), members.end(), options.node);
  std::vector<double> w(mean.begin(), mean.end());
  if (one && endpoint.rank() == options.node) w.assign(copy.begin(), copy.end());
  if (one) endpoint.broadcast(w, options.node, Deadline::never());
  return w;
}

std::vector<double> distances(Endpoint& endpoint, std::span<const double> copy, std::span<const double> mean) {
  std::vector<double> result(static_cast<std::size_t>(endpoint.size()), 0.0);
  double square = 0;
  for (std::size_t j = 0; j < mean.size(); ++j) square += (copy[j] - mean[j]) * (copy[j] - mean[j]);
  result[static_cast<std::size_t>(endpoint.rank())] = std::sqrt(square);
  endpoint.allreduce(result, ReduceOp::sum, Deadline::never());
  return result;
}

void conclude(Meeting& meeting, const Problem::Verdict& verdict, bool judged) {
  meeting.stop = true;
  meeting.reason = verdict.reason;
  meeting.detail = verdict.detail;
  if (verdict.stop) return;
  switch (meeting.ending) {
    case Ending::met:
      meeting.stop = !judged;
      meeting.reason = StopReason::converged;
      meeting.detail = "the network's own estimate met the tolerance";
      return;
    case Ending::stalled:
      meeting.reason = StopReason::stalled;
      meeting.detail = "the copies no longer move";
      return;
    case Ending::max_rounds:
      meeting.reason = StopReason::max_rounds;
      meeting.detail = "the limit on rounds was reached";
      return;
    case Ending::max_time:
      meeting.reason = StopReason::max_time;
      meeting.detail = "the limit on time was reached";
      return;
    case Ending::interrupted:
      meeting.reason = StopReason::interrupted;
      meeting.detail = "a stop was asked for";
      return;
    case Ending::diverged:
      meeting.reason = StopReason::diverged;
      meeting.detail = "the copies grow without bound";
  }
}

}  // namespace

Meeting meet(Endpoint& endpoint, MapReduce& all, std::span<const double> copy, Ending ending, const NetworkRun& run,
             const MeetingOptions& options) {
  Meeting meeting;
  const std::size_t n = all.dimension();
  const auto nodes = static_cast<double>(endpoint.members().size());
  double latest[2] = {static_cast<double>(ending), static_cast<double>(run.rounds)};
  endpoint.allreduce(latest, ReduceOp::max, Deadline::never());
  meeting.ending = static_cast<Ending>(static_cast<int>(latest[0]));
  std::vector<double> mean(copy.begin(), copy.end());
  endpoint.allreduce(mean, ReduceOp::sum, Deadline::never());
  for (double& value : mean) value /= nodes;
  meeting.w = choose_model(endpoint, copy, mean, options);
  meeting.consensus_distance = distances(endpoint, copy, mean);

  std::vector<double> gradient(n);
  RoundState state{static_cast<std::int64_t>(latest[1]), meeting.w, gradient, 0, 0, {}};
  state.value = all.value_and_gradient(meeting.w, gradient);
  state.tallies = all.tallies();
  for (const double g : minimum_norm_subgradient(meeting.w, gradient, options.l1)) state.gradient_norm += g * g;
  state.gradient_norm = std::sqrt(state.gradient_norm);
  double square = 0;
  for (const double distance : meeting.consensus_distance) square += distance * distance;
  meeting.exact = {state.round, endpoint.now() - run.start, state.value, state.gradient_norm};
  meeting.exact.consensus_distance = std::sqrt(square / nodes);
  Problem::Verdict verdict;
  if (options.judge && meeting.ending != Ending::diverged) verdict = options.judge(state);
  conclude(meeting, verdict, static_cast<bool>(options.judge));
  return meeting;
}

}  // namespace muster
