// How the numbers of a message are written (muster/options.h, MessageCompression).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "muster/options.h"

namespace muster {

// Threads: const members from any thread.
class Codec {
 public:
  explicit Codec(MessageCompression compression) : compression_(compression) {}

  // Appends `values` to out. What the receiver will not get of them, values − decoded, is written to lost (same length,
  // or empty where nobody wants it): the caller adds it to what it sends next (error feedback). The same values always
  // give the same bytes. Values must be finite; those beyond the format's range are saturated, the rest is in lost.
  // (Of others NaN arrives as NaN, in int8 with its whole block; infinities saturate or arrive.) lost may be values.
  void encode(std::span<const double> values, std::span<double> lost, std::vector<std::byte>& out) const;

  // Reads values.size() numbers from the front of bytes and returns how many bytes they took. Throws ClusterError
  // (muster/error.h) where bytes are too few, or what they say can not be.
  std::size_t decode(std::span<const std::byte> bytes, std::span<double> values) const;

  const MessageCompression& compression() const { return compression_; }

 private:
  MessageCompression compression_;
};

}  // namespace muster
