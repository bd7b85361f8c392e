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

// Decimal digits at the beginning of eight bytes.
struct LeadingDigits {
  int count;            // 0 … 8
  std::uint64_t value;  // of those
};

// at: eight readable bytes.
inline LeadingDigits leading_digits(const char* at) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  bytes ^= 0x3030303030303030;  // digits become 0 … 9
  // A byte's high bit: it is no digit. A carry can only come from one that is none, and goes to those behind it.
  const std::uint64_t others = ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
  const int count = std::countr_zero(others) / 8;
  if (count == 0) return {0, 0};
  bytes <<= 64 - 8 * count;  // zeros before them
  bytes = bytes * 10 + (bytes >> 8);
  constexpr std::uint64_t kPairs = 0x000000FF000000FF;
  return {count, ((bytes & kPairs) * (100 + (std::uint64_t{1000000} << 32)) +
                  ((bytes >> 16) & kPairs) * (1 + (std::uint64_t{10000} << 32))) >>
                     32};
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

}  // namespace muster
