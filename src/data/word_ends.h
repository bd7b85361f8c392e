// Where words of LIBSVM text end: 64 bytes at a time (G. Langdale and D. Lemire, "Parsing gigabytes of JSON per
// second", VLDB Journal 28, 2019).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "data/number_text.h"

namespace muster {

inline constexpr std::ptrdiff_t kWordEnds = 64;  // bytes looked at

// Bit i: byte i of those at `at` is a colon, a blank, or a control character such as a line break.
inline std::uint64_t word_ends_portably(const char* at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kLows = 0x7F * kOnes;
  std::uint64_t ends = 0;
  for (int word = 0; word < 8; ++word) {
    const std::uint64_t bytes = number_text::load_word(at + 8 * word);
    const std::uint64_t above_blank = ((bytes & kLows) + (0x7F - ' ') * kOnes) | bytes;
    const std::uint64_t from_colon = bytes ^ (':' * kOnes);
    const std::uint64_t not_colon = ((from_colon & kLows) + kLows) | from_colon;
    const std::uint64_t found = ~(above_blank & not_colon) >> 7 & kOnes;
    ends |= (found * 0x0102040810204080) >> 56 << (8 * word);  // one bit a byte, put together
  }
  return ends;
}

inline std::uint64_t word_ends(const char* at) {
#ifdef __SSE2__
  std::uint64_t ends = 0;
  const __m128i blank = _mm_set1_epi8(' '), colon = _mm_set1_epi8(':');
  for (int part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * part));
    const __m128i up_to_blank = _mm_cmpeq_epi8(_mm_min_epu8(bytes, blank), bytes);
    const int found = _mm_movemask_epi8(_mm_or_si128(up_to_blank, _mm_cmpeq_epi8(bytes, colon)));
    ends |= static_cast<std::uint64_t>(found) << (16 * part);
  }
  return ends;
#else
  return word_ends_portably(at);
#endif
}

// As std::popcount, which calls a function where processors without the instruction are to be served.
inline std::size_t count_bits(std::uint64_t bits) {
  bits -= bits >> 1 & 0x5555555555555555;
  bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
  return ((bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F) * 0x0101010101010101 >> 56;
}

// Writes the places of the bits that are set, plus `base`, and returns how many. to: room for kWordEnds.
inline std::size_t write_places(std::uint64_t bits, std::uint32_t base, std::uint32_t* to) {
  constexpr std::size_t kUsual = 12;  // written whether there are so many or not: the processor need not guess
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;  // so that there is a bit to be found
  const std::size_t count = count_bits(bits);
  for (std::size_t k = 0; k < kUsual || k < count; ++k, bits &= bits - 1)
    to[k] = base + static_cast<std::uint32_t>(std::countr_zero(bits | kLast));
  return count;
}

}  // namespace muster
