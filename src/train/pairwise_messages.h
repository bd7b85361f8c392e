// What two neighbours say to each other where there are no rounds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cluster/endpoint.h"
#include "train/gossip.h"

namespace muster {

inline constexpr Tag kPairTag = 0x6703;

struct PairMessage {
  enum class Kind : std::uint64_t {
    ask,      // "let us average": the asker's copy; it changes nothing of it before it has the answer
    answer,   // the copy of the asked, as it was; it has done its half of the exchange
    refusal,  // no exchange has been
    phase,    // maxima, of PhasedMaxima
    goodbye,  // the last message: the sender knows that all stop
  };
  Kind kind = Kind::ask;
  std::int64_t generation = 0;  // how often the sender has begun anew
  std::int64_t steps = 0;       // it has taken since its last exchange
  double pace_seconds = 0;      // that one of its gradients takes
  std::array<double, StopAgreement::kMeans> means{};
  std::array<double, StopAgreement::kMaxima> maxima{};
};
inline constexpr std::size_t kPairMessageBytes = sizeof(PairMessage);

// copy: of ask and answer.
Buffer encode(const PairMessage& message, std::span<const std::byte> copy = {});
// copy: the part of payload that is one. Throws ClusterError.
PairMessage decode_pair_message(const Message& message, std::span<const std::byte>& copy);

}  // namespace muster
