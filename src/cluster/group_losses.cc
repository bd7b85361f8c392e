// How the loss of a peer shows in the operations of a GroupEndpoint.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/group_endpoint.h"
#include "muster/error.h"

namespace muster {

const Outcome* GroupEndpoint::ended(int member) {
  const std::optional<Outcome>& in_run = station_.ended(run_rank(member));
  if (in_run) return &*in_run;
  const auto in_group = context().closed.find(member);
  return in_group == context().closed.end() ? nullptr : &in_group->second;
}

// Ends that leave a collective incomplete wherever it stands. An InputError or a cancellation is thrown by every rank,
// but by some while others are still in the collective that told them: those must be let finish it. A rank that left
// in good order has done its part, too.
bool GroupEndpoint::failed(int member) {
  const Outcome* end = ended(member);
  return end != nullptr && (end->ending == RankEnding::failed || end->ending == RankEnding::peer_lost ||
                            end->ending == RankEnding::silent);
}

void GroupEndpoint::throw_lost(int member) {
  reported_.insert(member);
  const Outcome end = *ended(member);
  const std::string name = station_.name(run_rank(member));
  if (end.ending == RankEnding::cancelled) throw Cancelled(end.sentence);
  // Meant to be thrown by every rank. Where one throws it alone, so do those that wait for it, and those that wait for
  // them.
  if (end.ending == RankEnding::input_error) throw InputError(end.sentence);
  Outcome why = end;
  if (end.ending == RankEnding::ok) why.sentence = "left the group while others waited for it";
  station_.note_loss(run_rank(member), why);
  switch (end.ending) {
    case RankEnding::silent:
      throw PeerLost(member, end.sentence);
    case RankEnding::peer_lost:
      throw PeerLost(member, fmt::format("{} gave up because of {}", name, end.sentence));
    default:
      throw PeerLost(member, fmt::format("{}: {}", name, why.sentence));
  }
}

void GroupEndpoint::check_cancelled() const {
  const CancellationToken* token = station_.options().cancellation;
  if (token != nullptr && token->cancelled()) throw Cancelled("interrupted");
}

void GroupEndpoint::check_awaited(const Match& match) {
  if (!anybody_ended()) return;  // the common case, for a thousand members too
  bool somebody_lives = false;
  int gone = -1;
  for (const int source : match.sources.empty() ? group_.members : match.sources) {
    if (source == rank()) continue;
    const Outcome* end = ended(source);
    if (end == nullptr) {
      somebody_lives = true;
      continue;
    }
    if (end->ending != RankEnding::ok && !reported_.contains(source)) throw_lost(source);
    if (gone < 0) gone = source;
  }
  if (!somebody_lives && gone >= 0) throw_lost(gone);
}

void GroupEndpoint::check_collective() {
  if (!anybody_ended()) return;
  for (const int member : group_.members) {
    if (member != rank() && failed(member)) throw_lost(member);
  }
}

// A member that left before it entered the engine's collective at hand will not enter it any more, however it left.
void GroupEndpoint::check_engine_collective() {
  for (const int member : group_.members) {
    if (member == rank()) continue;
    const Outcome* end = ended(member);
    if (end != nullptr && end->engine_collectives < station_.engine_collectives()) throw_lost(member);
  }
}

void GroupEndpoint::check_unbroken() {
  if (!broken_) return;
  check_collective();
  throw ClusterError("a collective of this group has failed before: shrink the group first");
}

std::vector<int> GroupEndpoint::awaited_peers(const std::vector<int>& sources) {
  std::vector<int> peers;
  for (const int source : sources.empty() ? group_.members : sources) {
    if (source != rank()) peers.push_back(run_rank(source));
  }
  std::sort(peers.begin(), peers.end());
  return peers;
}

}  // namespace muster
