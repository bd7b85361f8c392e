#include "engine/endpoint_peers.h"

#include <cstring>

#include "muster/error.h"

namespace muster {

namespace {

constexpr int kRoot = 0;

// Texts end to end, each behind its length, in doubles: the collectives move doubles, and a bit pattern survives them.
std::vector<double> pack(const std::vector<Buffer>& texts) {
  std::size_t bytes = 0;
  for (const Buffer& text : texts) bytes += sizeof(std::uint64_t) + text.size();
  std::vector<double> packed((bytes + sizeof(double) - 1) / sizeof(double));
  auto* place = reinterpret_cast<std::byte*>(packed.data());
  for (const Buffer& text : texts) {
    const std::uint64_t length = text.size();
    std::memcpy(place, &length, sizeof length);
    place += sizeof length;
    if (length > 0) std::memcpy(place, text.data(), length);
    place += length;
  }
  return packed;
}

std::vector<std::string> unpack(const std::vector<double>& packed, int count) {
  std::vector<std::string> texts;
  const auto* place = reinterpret_cast<const char*>(packed.data());
  for (int i = 0; i < count; ++i) {
    std::uint64_t length = 0;
    std::memcpy(&length, place, sizeof length);
    place += sizeof length;
    texts.emplace_back(place, length);
    place += length;
  }
  return texts;
}

}  // namespace

std::vector<std::string> EndpointPeers::all_gather(const std::string& mine) {
  const std::vector<Buffer> texts = endpoint_.gather(Buffer::copy_of(std::string_view(mine)), kRoot, Deadline::never());
  std::vector<double> packed;
  if (rank() == kRoot) packed = pack(texts);
  double length = static_cast<double>(packed.size());
  endpoint_.broadcast({&length, 1}, kRoot, Deadline::never());
  packed.resize(static_cast<std::size_t>(length));
  endpoint_.broadcast(packed, kRoot, Deadline::never());
  return unpack(packed, size());
}

void EndpointPeers::progress() {
  endpoint_.progress();
  if (cancellation_.cancelled()) throw Cancelled("interrupted while reading the data; there is no model yet to save");
}

}  // namespace muster
