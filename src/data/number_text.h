// Numbers as they are mostly written, read quickly and rounded correctly: [-]digits[.digits][e[±]digits] of up to 19
// digits. What is spelled otherwise, or needs more care, is left to std::from_chars.
//
// Eight bytes are taken for digits at once: which of them are is a bit mask, and three multiplications add them up
// (D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51, 2021). A number is an
// integer below 2^64 times or over a power of ten. Both are exact in double up to 2^53 and 10^22, so one operation
// rounds once (W. D. Clinger, "How to read floating point numbers accurately", PLDI 1990); in a long double of 64 bits
// up to 2^64 and 10^27, and rounding that to double is right unless it is a tie.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace muster {

namespace number_text {

inline constexpr std::uint64_t kAllZeros = 0x3030303030303030, kHighBits = 0x8080808080808080;

inline std::uint64_t load_word(const char* at) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

// Of bytes from which '0' is taken, so that digits are 0 … 9: the high bits of those that are none. A carry can only
// come from one that is none, and goes to those behind it.
inline std::uint64_t not_digits(std::uint64_t bytes) {
  return ((bytes + 0x7676767676767676) | bytes) & kHighBits;
}

// Eight digits, 0 … 9 each, as one number.
inline std::uint64_t add_up_digits(std::uint64_t digits) {
  digits = digits * 10 + (digits >> 8);
  constexpr std::uint64_t kPairs = 0x000000FF000000FF;
  return ((digits & kPairs) * (100 + (std::uint64_t{1000000} << 32)) +
          ((digits >> 16) & kPairs) * (1 + (std::uint64_t{10000} << 32))) >>
         32;
}

inline constexpr std::array<std::uint64_t, 9> kLastBytes = [] {  // of a word in memory: so many
  std::array<std::uint64_t, 9> masks{};
  for (std::size_t count = 1; count < masks.size(); ++count) masks[count] = ~std::uint64_t{0} << (64 - 8 * count);
  return masks;
}();

// The `count` digits that end at `to`, behind zeros.
inline std::uint64_t last_digits(const char* to, std::ptrdiff_t count) {
  return (load_word(to - 8) ^ kAllZeros) & kLastBytes[static_cast<std::size_t>(count)];
}

}  // namespace number_text

// Decimal digits at the beginning of eight bytes.
struct LeadingDigits {
  int count;            // 0 … 8
  std::uint64_t value;  // of those
};

// at: eight readable bytes.
inline LeadingDigits leading_digits(const char* at) {
  const std::uint64_t bytes = number_text::load_word(at) ^ number_text::kAllZeros;
  const int count = std::countr_zero(number_text::not_digits(bytes)) / 8;
  if (count == 0) return {0, 0};
  return {count, number_text::add_up_digits(bytes << (64 - 8 * count))};  // zeros before them
}

namespace number_text {

inline constexpr int kMostDigits = 19;
inline constexpr int kExactPower = 22, kExactLongPower = 27;

template <class T, int count>
constexpr std::array<T, count + 1> powers_of_ten() {
  std::array<T, count + 1> powers{1};
  for (int k = 1; k <= count; ++k) powers[static_cast<std::size_t>(k)] = powers[static_cast<std::size_t>(k - 1)] * 10;
  return powers;
}
inline constexpr auto kTens = powers_of_ten<double, kExactPower>();
inline constexpr auto kLongTens = powers_of_ten<long double, kExactLongPower>();
inline constexpr auto kWholeTens = powers_of_ten<std::uint64_t, 8>();

// Adds digits to a mantissa, up to 24; how many.
inline int read_digits(const char*& at, std::uint64_t& mantissa) {
  int count = 0;
  for (int word = 0; word < 3; ++word) {
    const LeadingDigits digits = leading_digits(at);
    mantissa = mantissa * kWholeTens[static_cast<std::size_t>(digits.count)] + digits.value;
    at += digits.count;
    count += digits.count;
    if (digits.count < 8) break;
  }
  return count;
}

// mantissa · 10^power, where it can be told.
inline bool scale(std::uint64_t mantissa, int power, double& value) {
  if (mantissa <= std::uint64_t{1} << 53 && power >= -kExactPower && power <= kExactPower) {
    const auto exact = static_cast<double>(static_cast<std::int64_t>(mantissa));
    value =
        power < 0 ? exact / kTens[static_cast<std::size_t>(-power)] : exact * kTens[static_cast<std::size_t>(power)];
    return true;
  }
  if constexpr (std::numeric_limits<long double>::digits == 64 && sizeof(long double) == 16) {
    if (power > 0 || power < -kExactLongPower) return false;
    const long double near = static_cast<long double>(mantissa) / kLongTens[static_cast<std::size_t>(-power)];
    std::uint64_t bits;  // of its mantissa
    std::memcpy(&bits, &near, sizeof bits);
    constexpr std::uint64_t kBeyondDouble = (1 << 11) - 1, kTie = 1 << 10;
    value = static_cast<double>(near);
    return (bits & kBeyondDouble) != kTie;
  }
  return false;
}

}  // namespace number_text

// So many bytes must be readable: sign, point and exponent, and what is read of digits.
inline constexpr std::ptrdiff_t kReadOfNumber = 64;

// Reads the number at `at` and returns the byte behind it; null where this is not the way to read it.
inline const char* read_plain_number(const char* at, double& value) {
  const auto is_digit = [](char c) { return static_cast<unsigned char>(c - '0') <= 9; };
  const bool negative = *at == '-';
  at += negative;
  std::uint64_t mantissa = 0;
  int whole = 1;
  if (at[1] == '.' && is_digit(at[0])) {  // so common that the processor need not wait for a count
    mantissa = static_cast<std::uint64_t>(*at++ - '0');
  } else {
    whole = number_text::read_digits(at, mantissa);
  }
  int digits = mantissa == 0 ? 0 : whole;
  int fraction = 0;
  if (*at == '.') {
    ++at;
    fraction = number_text::read_digits(at, mantissa);
    digits += fraction;
  }
  if (whole + fraction == 0 || digits > number_text::kMostDigits) return nullptr;
  if (is_digit(*at)) return nullptr;  // more than were taken
  int power = -fraction;
  if (*at == 'e' || *at == 'E') {
    ++at;
    const bool down = *at == '-';
    at += down || *at == '+';
    const LeadingDigits exponent = leading_digits(at);
    if (exponent.count == 0 || exponent.count > 3) return nullptr;
    at += exponent.count;
    power += down ? -static_cast<int>(exponent.value) : static_cast<int>(exponent.value);
  }
  if (!number_text::scale(mantissa, power, value)) return nullptr;
  if (negative) value = -value;
  return at;
}

// Where both ends of a word are known, no digit waits for those before it, so the processor reads several words at
// once. Eight bytes before `to` must be readable.

// One to eight digits and nothing else.
inline bool read_short_index(const char* from, const char* to, std::uint32_t& value) {
  const std::ptrdiff_t size = to - from;
  if (size < 1 || size > 8) return false;
  const std::uint64_t digits = number_text::last_digits(to, size);
  value = static_cast<std::uint32_t>(number_text::add_up_digits(digits));
  return number_text::not_digits(digits) == 0;
}

// [-]digits[.digits] of up to eight bytes, or [-]0. and up to sixteen digits; false where this is not the way to read
// it.
inline bool read_short_number(const char* from, const char* to, double& value) {
  using namespace number_text;
  const bool negative = *from == '-';
  from += negative;
  std::ptrdiff_t size = to - from;
  std::uint64_t mantissa = 0;
  std::ptrdiff_t fraction = 0;
  if (size > 2 && from[0] == '0' && from[1] == '.') {
    fraction = size -= 2;
    if (size > 16) return false;
    if (size > 8) {
      const std::uint64_t first = last_digits(to - 8, size - 8);
      if (not_digits(first) != 0) return false;
      mantissa = add_up_digits(first) * kWholeTens[8];
      size = 8;
    }
    const std::uint64_t digits = last_digits(to, size);
    if (not_digits(digits) != 0) return false;
    mantissa += add_up_digits(digits);
  } else {
    if (size < 1 || size > 8) return false;
    std::uint64_t digits = last_digits(to, size);
    constexpr std::uint64_t kLows = 0x7F7F7F7F7F7F7F7F, kPoints = ('.' ^ '0') * std::uint64_t{0x0101010101010101};
    const std::uint64_t others = digits ^ kPoints;
    const std::uint64_t points = ~(((others & kLows) + kLows) | others | kLows);  // the high bits of points
    if (points != 0) {
      if (size == 1) return false;
      const int place = std::countr_zero(points) - 7;  // of the first of them; a second one is no digit
      const std::uint64_t before = (std::uint64_t{1} << place) - 1;
      fraction = 7 - place / 8;
      digits = (digits & before) << 8 | (digits & ~(before << 8 | 0xFF));
    }
    if (not_digits(digits) != 0) return false;
    mantissa = add_up_digits(digits);
  }
  if (!scale(mantissa, -static_cast<int>(fraction), value)) return false;
  if (negative) value = -value;
  return true;
}

}  // namespace muster
