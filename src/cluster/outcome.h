// How a rank ended, and what the ranks' ends together mean for the run: the same rule for every transport.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "cluster/endpoint.h"

namespace muster {

enum class RankEnding : std::uint8_t {
  ok,
  input_error,  // meant to be thrown by every rank
  cancelled,    // likewise
  failed,       // anything else: this rank alone
  peer_lost,    // because of another rank, the culprit
  silent,       // found by the others
};

struct Outcome {
  RankEnding ending = RankEnding::ok;
  int culprit = -1;                     // the rank whose failure it is: its own, but for peer_lost
  std::string sentence;                 // of the error; for peer_lost and silent it names rank and host already
  std::int64_t engine_collectives = 0;  // of the transport's own engine, entered before the end
};

Buffer encode(const Outcome& outcome);
Outcome decode_outcome(const Buffer& payload);

// What the run came to, judged from the outcomes so far (nullopt: still running).
struct Verdict {
  RankEnding ending = RankEnding::ok;  // ok, input_error or cancelled of all; or failed, of the rank below
  int rank = -1;
  std::string sentence;  // complete, fit to print
};
Verdict judge(const std::vector<std::optional<Outcome>>& outcomes, const std::function<std::string(int)>& host);

// EndpointOptions::tolerate_losses: such an end alone does not end the run.
bool is_loss(RankEnding ending);
// Whether the run came to its end without those that were lost: the others, at least one, have all returned.
bool whole_without_losses(const std::vector<std::optional<Outcome>>& outcomes);

// Throws what the verdict says; returns where it says ok.
void raise(const Verdict& verdict);

// "rank 2 on HOST".
std::string rank_on_host(int rank, const std::string& host);

class GroupEndpoint;

// Runs rank_main and turns whatever it throws into an outcome, to leave() with.
Outcome run_rank(GroupEndpoint& endpoint, const std::function<void(Endpoint&)>& rank_main);

}  // namespace muster
