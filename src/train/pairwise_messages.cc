#include "train/pairwise_messages.h"

#include <fmt/format.h>

#include <cstring>
#include <type_traits>

#include "muster/error.h"

namespace muster {

static_assert(std::is_trivially_copyable_v<PairMessage>);

Buffer encode(const PairMessage& message, std::span<const std::byte> copy) {
  Buffer payload(kPairMessageBytes + copy.size());
  std::memcpy(payload.data(), &message, kPairMessageBytes);
  if (!copy.empty()) std::memcpy(payload.data() + kPairMessageBytes, copy.data(), copy.size());
  return payload;
}

PairMessage decode_pair_message(const Message& message, std::span<const std::byte>& copy) {
  const std::span<const std::byte> bytes(message.payload.data(), message.payload.size());
  PairMessage result;
  if (bytes.size() >= kPairMessageBytes) std::memcpy(&result, bytes.data(), kPairMessageBytes);
  if (bytes.size() < kPairMessageBytes || result.kind > PairMessage::Kind::goodbye)
    throw ClusterError(fmt::format("node {} sent a malformed message: it has {} bytes", message.source, bytes.size()));
  copy = bytes.subspan(kPairMessageBytes);
  return result;
}

}  // namespace muster
