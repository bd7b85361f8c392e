// A checksum at the speed of memory, against damage, not malice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace muster {

// Eight lanes of multiplications by an odd constant, which a processor runs side by side. A change of one word changes
// the result: every step is a bijection of the lane.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    length_ += bytes.size();
    while (held_ > 0 && !bytes.empty()) bytes = hold(bytes);
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    Lanes lanes = lanes_;
    for (; left >= sizeof(Lanes); at += sizeof(Lanes), left -= sizeof(Lanes)) mix(lanes, at);
    lanes_ = lanes;
    if (left > 0) hold({at, left});
  }

  std::uint64_t value() const {
    Checksum all = *this;
    const std::array<std::byte, sizeof(Lanes)> zeros{};
    if (held_ > 0) all.hold(std::span(zeros).first(zeros.size() - held_));
    std::uint64_t sum = length_;
    for (const std::uint64_t lane : all.lanes_) sum = step(sum, lane);
    return sum;
  }

 private:
  using Lanes = std::array<std::uint64_t, 8>;

  static std::uint64_t step(std::uint64_t lane, std::uint64_t word) {
    constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15;
    const std::uint64_t product = (lane ^ word) * kFactor;  // whose upper bits know all below them
    return product ^ (product >> 32);
  }
  static void mix(Lanes& lanes, const std::byte* at) {
    Lanes words;
    std::memcpy(words.data(), at, sizeof words);
    for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = step(lanes[i], words[i]);
  }
  // Takes what makes a block whole, at most; what is left.
  std::span<const std::byte> hold(std::span<const std::byte> bytes) {
    const std::size_t taken = bytes.size() < sizeof(Lanes) - held_ ? bytes.size() : sizeof(Lanes) - held_;
    std::memcpy(block_.data() + held_, bytes.data(), taken);
    held_ += taken;
    if (held_ == sizeof(Lanes)) {
      mix(lanes_, block_.data());
      held_ = 0;
    }
    return bytes.subspan(taken);
  }

  Lanes lanes_ = {1, 2, 3, 4, 5, 6, 7, 8};
  std::array<std::byte, sizeof(Lanes)> block_{};
  std::size_t held_ = 0;  // in block_
  std::uint64_t length_ = 0;
};

inline std::uint64_t checksum_of(std::span<const std::byte> bytes) {
  Checksum sum;
  sum.add(bytes);
  return sum.value();
}

}  // namespace muster
