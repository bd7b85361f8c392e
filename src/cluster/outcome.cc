#include "cluster/outcome.h"

#include <fmt/format.h>

#include <cstring>

#include "cluster/group_endpoint.h"
#include "muster/error.h"

namespace muster {

namespace {

struct Fixed {
  std::int64_t engine_collectives;
  std::int32_t culprit;
  RankEnding ending;
};

bool is_shared(RankEnding ending) {
  return ending == RankEnding::input_error || ending == RankEnding::cancelled;
}

}  // namespace

Buffer encode(const Outcome& outcome) {
  Fixed fixed{};
  fixed.engine_collectives = outcome.engine_collectives;
  fixed.culprit = outcome.culprit;
  fixed.ending = outcome.ending;
  Buffer payload(sizeof(Fixed) + outcome.sentence.size());
  std::memcpy(payload.data(), &fixed, sizeof(Fixed));
  std::memcpy(payload.data() + sizeof(Fixed), outcome.sentence.data(), outcome.sentence.size());
  return payload;
}

Outcome decode_outcome(const Buffer& payload) {
  Fixed fixed{};
  std::memcpy(&fixed, payload.data(), sizeof(Fixed));
  return {fixed.ending, fixed.culprit, std::string(payload.text().substr(sizeof(Fixed))), fixed.engine_collectives};
}

std::string rank_on_host(int rank, const std::string& host) {
  return fmt::format("rank {} on {}", rank, host);
}

Verdict judge(const std::vector<std::optional<Outcome>>& outcomes, const std::function<std::string(int)>& host) {
  Verdict shared;
  const Outcome* derived = nullptr;
  const Outcome* silent = nullptr;
  for (int r = 0; r < static_cast<int>(outcomes.size()); ++r) {
    const std::optional<Outcome>& outcome = outcomes[static_cast<std::size_t>(r)];
    if (!outcome || outcome->ending == RankEnding::ok) continue;
    if (outcome->ending == RankEnding::failed) {
      return {RankEnding::failed, r, fmt::format("{}: {}", rank_on_host(r, host(r)), outcome->sentence)};
    }
    if (outcome->ending == RankEnding::silent && silent == nullptr) silent = &*outcome;
    if (outcome->ending == RankEnding::peer_lost && derived == nullptr) derived = &*outcome;
    // An input error says more than that the others were interrupted because of it.
    if (is_shared(outcome->ending) &&
        (shared.ending == RankEnding::ok ||
         (shared.ending == RankEnding::cancelled && outcome->ending == RankEnding::input_error))) {
      shared = {outcome->ending, r, outcome->sentence};
    }
  }
  if (silent != nullptr) return {RankEnding::silent, silent->culprit, silent->sentence};
  if (derived != nullptr) return {RankEnding::peer_lost, derived->culprit, derived->sentence};
  return shared;
}

bool is_loss(RankEnding ending) {
  return ending == RankEnding::failed || ending == RankEnding::silent;
}

bool whole_without_losses(const std::vector<std::optional<Outcome>>& outcomes) {
  bool anybody_returned = false;
  for (const std::optional<Outcome>& outcome : outcomes) {
    if (!outcome) return false;
    if (outcome->ending == RankEnding::ok) {
      anybody_returned = true;
    } else if (!is_loss(outcome->ending)) {
      return false;
    }
  }
  return anybody_returned;
}

void raise(const Verdict& verdict) {
  switch (verdict.ending) {
    case RankEnding::ok:
      return;
    case RankEnding::input_error:
      throw InputError(verdict.sentence);
    case RankEnding::cancelled:
      throw Cancelled(verdict.sentence);
    case RankEnding::failed:
      throw ClusterError(verdict.sentence);
    case RankEnding::peer_lost:
    case RankEnding::silent:
      throw PeerLost(verdict.rank, verdict.sentence);
  }
}

Outcome run_rank(GroupEndpoint& endpoint, const std::function<void(Endpoint&)>& rank_main) {
  Station& station = endpoint.station();
  Outcome outcome{RankEnding::ok, station.rank(), {}, 0};
  try {
    rank_main(endpoint);
  } catch (const InputError& error) {
    outcome = {RankEnding::input_error, station.rank(), error.what(), 0};
  } catch (const Cancelled& error) {
    outcome = {RankEnding::cancelled, station.rank(), error.what(), 0};
  } catch (const PeerLost& error) {
    outcome = {RankEnding::failed, station.rank(), error.what(), 0};
    if (station.last_loss().ending == RankEnding::peer_lost) outcome = station.last_loss();
  } catch (const std::exception& error) {
    outcome = {RankEnding::failed, station.rank(), error.what(), 0};
  } catch (...) {
    outcome = {RankEnding::failed, station.rank(), "an exception of unknown type", 0};
  }
  outcome.engine_collectives = station.engine_collectives();
  return outcome;
}

}  // namespace muster
