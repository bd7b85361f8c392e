// A checksum is of the bytes, not of the pieces they come in, and of every one of them.
#include "data/checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace muster {
namespace {

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * i % 251);
  return bytes;
}

TEST(Checksums, DoNotDependOnPieces) {
  const std::vector<std::byte> bytes = some_bytes(1000);
  for (std::size_t piece = 1; piece < 200; ++piece) {
    Checksum sum;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      sum.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    ASSERT_EQ(sum.value(), checksum_of(bytes)) << piece;
  }
}

TEST(Checksums, DifferForEveryBitAndLength) {
  std::vector<std::byte> bytes = some_bytes(130);
  std::set<std::uint64_t> seen = {checksum_of(bytes)};
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_TRUE(seen.insert(checksum_of(bytes)).second) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  const std::vector<std::byte> zeros(200);
  for (std::size_t length = 0; length < zeros.size(); ++length)
    EXPECT_TRUE(seen.insert(checksum_of(std::span(zeros).first(length))).second) << length;
}

// The uppermost bits too go down again: of two words of a lane, and of all lanes at the end.
TEST(Checksums, DifferForEveryTwoUppermostBits) {
  std::vector<std::byte> bytes = some_bytes(64 * 4);
  const std::uint64_t unchanged = checksum_of(bytes);
  std::set<std::uint64_t> seen = {unchanged};
  for (std::size_t one = 7; one < bytes.size(); one += 8)
    for (std::size_t other = one + 8; other < bytes.size(); other += 8) {
      for (const std::size_t at : {one, other}) bytes[at] ^= std::byte{0x80};
      EXPECT_TRUE(seen.insert(checksum_of(bytes)).second) << one << " and " << other;
      for (const std::size_t at : {one, other}) bytes[at] ^= std::byte{0x80};
    }
}

}  // namespace
}  // namespace muster
