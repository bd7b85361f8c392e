// What others know of a vector that is sent compressed: sender and receivers keep the same copy x̂ and move it alike,
//
//     x̂ ← x̂ + C(x − x̂)
//
// so what one message loses stays in x − x̂ and is sent by later ones (error feedback). The difference is sent in units
// of a power of 2 next to its largest number, so that a short format uses its whole range however small differences
// have become. Where C loses nothing (MessageCompression::Kind::none) x̂ is x. Sources: gossip.h.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "train/codec.h"

namespace muster {

class PublicCopy {
 public:
  // 0 at first. chunk: as many numbers of it share a unit (a divisor of size).
  PublicCopy(std::size_t size, std::size_t chunk) : values_(size), chunk_(chunk) {}

  std::span<const double> values() const { return values_; }

  // Appends to message what brings the copies nearer to x, and moves this one.
  void approach(std::span<const double> x, const Codec& codec, std::vector<std::byte>& message);
  // Moves as the sender's copy has moved. Returns how many bytes that took; throws ClusterError where they are wrong.
  std::size_t follow(std::span<const std::byte> bytes, const Codec& codec);

 private:
  std::vector<double> values_;
  std::size_t chunk_;
};

}  // namespace muster
