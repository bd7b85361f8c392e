// Random numbers as a pure function of a key and an index: no state, no order, the same on every machine.
//
// Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11:
// Philox4x32-10.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace muster {

// What a stream is for, so that two uses of one seed never share numbers.
enum class RandomPurpose : std::uint32_t {
  start_vector = 1,
  row_order = 2,
  folds = 3,
  random_graph = 12,
  // the simulated cluster
  node_factor = 16,
  round_factor,
  jitter,
  message_loss,
  node_death,
  pause_gap,
  pause_length,
};

using PhiloxBlock = std::array<std::uint32_t, 4>;

inline PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kFirstMultiplier = 0xD2511F53, kSecondMultiplier = 0xCD9E8D57;
  constexpr std::uint32_t kFirstWeyl = 0x9E3779B9, kSecondWeyl = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = kFirstMultiplier * counter[0];
    const std::uint64_t second = kSecondMultiplier * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
    key[0] += kFirstWeyl;
    key[1] += kSecondWeyl;
  }
  return counter;
}

// One stream per (seed, node, purpose); its numbers are picked by index, in any order.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint32_t node, RandomPurpose purpose)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        node_(node),
        purpose_(static_cast<std::uint32_t>(purpose)) {}

  std::uint64_t bits(std::uint64_t index) const {
    const PhiloxBlock block =
        philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), node_, purpose_}, key_);
    return (static_cast<std::uint64_t>(block[1]) << 32) | block[0];
  }

  // In [0, 1), a multiple of 2^-53.
  double uniform(std::uint64_t index) const { return std::ldexp(static_cast<double>(bits(index) >> 11), -53); }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t node_, purpose_;
};

}  // namespace muster
