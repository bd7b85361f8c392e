#include "cluster/station.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "muster/error.h"

namespace muster {

namespace {

// One wait is no longer than this, so that cancellation, which only sets a flag, is seen soon.
constexpr double kSliceSeconds = 0.05;
// Silence is counted in steps no shorter (to keep quick waits cheap) and no longer (a stopped rank accuses nobody).
constexpr double kShortestCountSeconds = 0.02;
constexpr double kLongestCountSeconds = 0.25;
// Of many awaited peers each rank asks the next few behind it; together the ranks watch everybody.
constexpr std::size_t kWatchedPeers = 32;

}  // namespace

Buffer encode(const ShrinkRound& round) {
  Buffer payload(5 + round.excluded.size());
  std::memcpy(payload.data(), &round.round, 4);
  payload.as<std::uint8_t>()[4] = round.decided ? 1 : 0;
  std::copy(round.excluded.begin(), round.excluded.end(), payload.as<std::uint8_t>().begin() + 5);
  return payload;
}

ShrinkRound decode_shrink_round(const Buffer& payload) {
  ShrinkRound round;
  const auto bytes = payload.as<std::uint8_t>();
  std::memcpy(&round.round, bytes.data(), 4);
  round.decided = bytes[4] != 0;
  round.excluded.assign(bytes.begin() + 5, bytes.end());
  return round;
}

Station::Station(Wire& wire, const EndpointOptions& options)
    : wire_(wire), options_(options), peers_(static_cast<std::size_t>(wire.size())) {
  for (Peer& peer : peers_) peer.last_heard = now();
}

Context& Station::context(ContextId id) {
  std::unique_ptr<Context>& place = contexts_[id];
  if (!place) place = std::make_unique<Context>();
  return *place;
}

void Station::release(ContextId id) {
  contexts_.erase(id);
  released_.insert(id);
}

void Station::decide_shrink(ContextId id, int group_rank, const ShrinkRound& decision) {
  decisions_[id] = {group_rank, decision};
}

void Station::post(int to, ContextId context, int group_rank, Tag tag, Buffer payload) {
  if (lost(to)) return;
  wire_.post(to, Envelope{context, rank(), group_rank, tag, encode(activity_), std::move(payload)});
}

void Station::pull() {
  arrived_.clear();
  wire_.pull(arrived_);
  for (Envelope& envelope : arrived_) handle(std::move(envelope));
}

void Station::handle(Envelope envelope) {
  Peer& from = peer(envelope.source);
  if (lost(envelope.source)) return;  // it is out, on every rank, even if it comes back
  note_sign(envelope.source, decode_activity(envelope.activity));
  const bool released = released_.contains(envelope.context);
  switch (envelope.tag) {
    case kPingTag:
      return post(envelope.source, 0, rank(), kPongTag, Buffer());
    case kPongTag:
      return;
    case kReportedTag:
      reported_ = true;
      return;
    case kLostTag: {
      const Outcome loss = decode_outcome(envelope.payload);
      if (loss.culprit == rank()) {
        given_up_ = loss.sentence;
      } else {
        mark_lost(loss.culprit, loss.sentence);
      }
      return;
    }
    case kClosedTag:
      return handle_close(envelope);
    case kDoneTag:
      from.done = decode_outcome(envelope.payload);
      if (!from.ended) from.ended = from.done;
      anybody_ended_ = true;
      return;
    case kShrinkTag:
      return handle_shrink(envelope);
    default:
      break;
  }
  if (released) return;
  Context& group = context(envelope.context);
  if (envelope.tag == kCreditTag) {
    const auto given = envelope.payload.as<std::uint64_t>();
    group.credit[{envelope.group_rank, given[1] != 0}].received(given[0]);
  } else if (envelope.tag == kWantCreditTag) {
    group.impatient.insert(envelope.group_rank);
    for (const bool reserved : {false, true}) {
      const std::uint64_t given[2] = {group.mailbox.settle(envelope.group_rank, reserved, 1), reserved};
      if (given[0] != 0) {
        const int mine = static_cast<int>(envelope.payload.as<std::int32_t>()[0]);
        post(envelope.source, envelope.context, mine, kCreditTag,
             Buffer::copy_of(std::span<const std::uint64_t>(given)));
      }
    }
  } else {
    group.mailbox.deliver({envelope.group_rank, envelope.tag, std::move(envelope.payload)});
  }
}

void Station::handle_close(const Envelope& envelope) {
  Outcome outcome = decode_outcome(envelope.payload);
  if (envelope.context == 0) {
    Peer& from = peer(envelope.source);
    if (!from.ended) from.ended = std::move(outcome);
    anybody_ended_ = true;
  } else if (!released_.contains(envelope.context)) {
    context(envelope.context).closed.emplace(envelope.group_rank, std::move(outcome));
  }
}

void Station::handle_shrink(const Envelope& envelope) {
  ShrinkRound round = decode_shrink_round(envelope.payload);
  const auto decision = decisions_.find(envelope.context);
  if (decision != decisions_.end()) {
    const auto& [group_rank, answer] = decision->second;
    if (!round.decided) post(envelope.source, envelope.context, group_rank, kShrinkTag, encode(answer));
    return;
  }
  if (!released_.contains(envelope.context)) {
    context(envelope.context).shrinking[envelope.group_rank].push_back(std::move(round));
  }
}

void Station::wait(const std::vector<int>& awaited, Time until) {
  if (wire_.watches()) {
    const int silent = wire_.watch({awaited, match_, waiting_since_, until, options_.silence_seconds});
    pull();
    if (silent >= 0 && !peer(silent).done && !lost(silent)) find_lost(silent);
    return;
  }
  wire_.wait(std::clamp(until - now(), 0.0, kSliceSeconds));
  pull();
  if (now() - last_count_ >= kShortestCountSeconds) count_silence(awaited);
}

void Station::count_silence(const std::vector<int>& awaited) {
  if (wire_.watches()) return;
  const double elapsed = std::min(now() - last_count_, kLongestCountSeconds);
  last_count_ = now();
  const double ask_every = std::min(1.0, options_.silence_seconds / 4);
  const auto first = std::upper_bound(awaited.begin(), awaited.end(), rank()) - awaited.begin();
  const std::size_t count = std::min(awaited.size(), kWatchedPeers);
  for (std::size_t i = 0; i < count; ++i) {
    const int rank_awaited = awaited[(static_cast<std::size_t>(first) + i) % awaited.size()];
    Peer& p = peer(rank_awaited);
    if (rank_awaited == rank() || p.done || lost(rank_awaited)) continue;
    p.silence_seconds += elapsed;
    if (p.silence_seconds >= options_.silence_seconds) {
      find_lost(rank_awaited);
    } else if (p.silence_seconds >= ask_every && now() - p.last_asked >= ask_every) {
      p.last_asked = now();
      post(rank_awaited, 0, rank(), kPingTag, Buffer());
    }
  }
}

void Station::find_lost(int lost_rank) {
  const Peer& p = peer(lost_rank);
  const std::string sentence = fmt::format("{}: no sign of life (last heard {:.1f} s ago, {})", name(lost_rank),
                                           now() - p.last_heard, describe(p.activity));
  const Outcome loss{RankEnding::silent, lost_rank, sentence};
  for (int other = 0; other < wire_.size(); ++other) {
    if (other != rank()) post(other, 0, rank(), kLostTag, encode(loss));
  }
  mark_lost(lost_rank, sentence);
}

void Station::mark_lost(int lost_rank, const std::string& sentence) {
  Peer& p = peer(lost_rank);
  if (p.done || lost(lost_rank)) return;
  p.ended = Outcome{RankEnding::silent, lost_rank, sentence};
  anybody_ended_ = true;
  wire_.forget(lost_rank);
}

void Station::note_loss(int lost_rank, const Outcome& why) {
  last_loss_ = why;
  last_loss_.ending = RankEnding::peer_lost;
  if (why.ending == RankEnding::peer_lost || why.ending == RankEnding::silent) return;
  last_loss_.culprit = lost_rank;
  last_loss_.sentence = fmt::format("{}: {}", name(lost_rank), why.sentence);
}

void Station::note_sign(int from, Activity activity) {
  Peer& p = peer(from);
  p.last_heard = now();
  p.silence_seconds = 0;
  p.activity = activity;
}

void Station::note_earlier_sign(int from, Activity activity, Time at) {
  Peer& p = peer(from);
  if (at <= p.last_heard && p.activity.doing != Doing::starting) return;
  p.last_heard = std::max(p.last_heard, at);
  p.activity = activity;
}

void Station::check_own_standing() const {
  if (!given_up_.empty()) {
    throw ClusterError(fmt::format("the other ranks went on without this one: {}", given_up_));
  }
}

void Station::announce_done(const Outcome& outcome) {
  own_outcome_ = outcome;
  activity_ = {Doing::finishing, false};
  for (int other = 0; other < wire_.size(); ++other) {
    if (other != rank()) post(other, 0, rank(), kDoneTag, encode(outcome));
  }
  begin_wait();
}

void Station::announce_reported() {
  for (int other = 0; other < wire_.size(); ++other) {
    if (other != rank()) post(other, 0, rank(), kReportedTag, Buffer());
  }
}

bool Station::all_done(Time until) {
  pull();
  std::vector<int> awaited;
  for (int other = 0; other < wire_.size(); ++other) {
    if (other == rank() || peer(other).done || lost(other)) continue;
    awaited.push_back(other);
  }
  if (awaited.empty() && !wire_.receiving() && wire_.unflushed().empty()) return true;
  wait(awaited, until);
  return false;
}

std::vector<std::optional<Outcome>> Station::outcomes() const {
  std::vector<std::optional<Outcome>> all;
  for (const Peer& p : peers_) {
    all.push_back(p.ended && p.ended->ending == RankEnding::silent ? p.ended : p.done);
  }
  all[static_cast<std::size_t>(rank())] = own_outcome_;
  return all;
}

}  // namespace muster
