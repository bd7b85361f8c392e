// Layouts, little-endian, after a head of 8 bytes: the kind in the lowest byte, the number of values in the others.
//
//     none      float64 each
//     float32   float32 each: rounded to nearest even, saturated
//     float16   IEEE 754 binary16 each: rounded to nearest even, subnormals included, saturated at 65504
//     int8      blocks of kBlock values (the last may be shorter): scale as float64, then q as int8 each; a value is
//               scale·q, scale = max|x|/127, q = x/scale rounded to nearest even
//     top_k     how many are kept (uint32); for each, ascending, how many values are skipped before it (LEB128); their
//               values, float32 each. Of equal magnitudes the first are kept; zeros never are
//
// int8 rounds to nearest, not at random: error feedback makes up for the bias, and the same values give the same bytes.
// top_k sends float32: at equal bytes that keeps 1.7 times as many values as float64 would, and error feedback sends
// the rest of the value later.
//
// Sources: F. Seide et al., Interspeech 2014 (error feedback); S. Stich, J.-B. Cordonnier, M. Jaggi, "Sparsified SGD
// with memory", NeurIPS 2018 (top k, and that |x − C(x)|² <= (1 − k/d)|x|² is what it takes); T. Dettmers, ICLR 2016
// (8 bits with a scale per block).
#include "train/codec.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "muster/error.h"

namespace muster {
namespace {

static_assert(std::endian::native == std::endian::little, "the layout is that of memory");

using Kind = MessageCompression::Kind;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kBlock = 256;
constexpr std::uint64_t kMagnitude = ~(std::uint64_t{1} << 63);
constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;

void append(Bytes& out, const void* from, std::size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(from);
  out.insert(out.end(), begin, begin + bytes);
}

void make_room(Bytes& out, std::size_t bytes) {  // never by less than doubling: a caller may append many times
  if (out.capacity() - out.size() < bytes) out.reserve(std::max(out.size() + bytes, 2 * out.capacity()));
}

const char* name(Kind kind) {
  switch (kind) {
    case Kind::none:
      return "float64";
    case Kind::float32:
      return "float32";
    case Kind::float16:
      return "float16";
    case Kind::int8:
      return "int8";
    case Kind::top_k:
      return "top-k";
  }
  MUSTER_CHECK(false, "no such compression");
}

// Takes bytes from the front of a message.
class Reader {
 public:
  Reader(Kind kind, std::span<const std::byte> bytes) : kind_(kind), bytes_(bytes) {}

  const std::byte* take(std::size_t bytes) {
    if (bytes > bytes_.size() - at_) fail("ends too early");
    at_ += bytes;
    return bytes_.data() + at_ - bytes;
  }
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }
  std::size_t at() const { return at_; }

  [[noreturn]] void fail(const char* what) const {
    throw ClusterError(
        fmt::format("a message of {} numbers {}: it is damaged, or not from a rank of this run", name(kind_), what));
  }

 private:
  Kind kind_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

// --- numbers narrowed one by one. Loops over blocks that the compiler can turn into vectors. ---

float to_float32(double x) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(x > kLargest ? kLargest : x < -kLargest ? -kLargest : x);
}

// Let 2^e be the power of two below |x|, or 2^−14 where that is smaller. Halves there are the multiples of 2^(e−10),
// and so are the doubles above 2^(e+42): adding that rounds as it should, and leaves the multiple in the lowest bits.
std::uint16_t to_float16(double x) {
  constexpr double kLargest = 65504;
  const double magnitude = std::abs(x) > kLargest ? kLargest : std::abs(x);
  const double normal = magnitude > 0x1p-14 ? magnitude : 0x1p-14;
  const std::uint64_t power = std::bit_cast<std::uint64_t>(normal) & kExponent;
  const double shifted = magnitude + std::bit_cast<double>(power + (std::uint64_t{42} << 52));
  const std::uint64_t multiple = std::bit_cast<std::uint64_t>(shifted) & 0xfff;
  const std::uint64_t sign = std::bit_cast<std::uint64_t>(x) >> 63 << 15;
  const std::uint64_t half = (power >> 42) - (std::uint64_t{1023 - 14} << 10) + multiple;
  return static_cast<std::uint16_t>(sign | (x == x ? half : 0x7e00));
}

// The same backwards; no subnormal double on the way, which are slow on some machines. Infinities are never sent.
double from_float16(std::uint16_t half) {
  const std::int32_t exponent = (half >> 10) & 31;
  const std::int32_t normal = exponent + (exponent == 0 ? 1 : 0);
  const std::int32_t multiple = (half & 0x7fff) - ((normal - 1) << 10);
  const auto power = static_cast<std::uint64_t>(normal + (1023 - 25)) << 52;
  const double magnitude = static_cast<double>(multiple) * std::bit_cast<double>(power);
  const double finite = (half & 0x8000) != 0 ? -magnitude : magnitude;
  return exponent == 31 ? std::numeric_limits<double>::quiet_NaN() : finite;
}

struct Float32 {
  using Stored = float;
  static float narrow(double x) { return to_float32(x); }
  static double widen(float x) { return x; }
};

struct Float16 {
  using Stored = std::uint16_t;
  static std::uint16_t narrow(double x) { return to_float16(x); }
  static double widen(std::uint16_t x) { return from_float16(x); }
};

template <class Format>
void encode_each(std::span<const double> values, std::span<double> lost, Bytes& out) {
  using Stored = typename Format::Stored;
  make_room(out, values.size() * sizeof(Stored));
  std::array<double, kBlock> x;
  std::array<Stored, kBlock> stored;
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, values.size() - begin);
    std::copy_n(values.data() + begin, count, x.data());
    for (std::size_t i = 0; i < count; ++i) stored[i] = Format::narrow(x[i]);
    append(out, stored.data(), count * sizeof(Stored));
    if (lost.empty()) continue;
    for (std::size_t i = 0; i < count; ++i) lost[begin + i] = x[i] - Format::widen(stored[i]);
  }
}

template <class Format>
void decode_each(Reader& reader, std::span<double> values) {
  using Stored = typename Format::Stored;
  const std::byte* from = reader.take(values.size() * sizeof(Stored));
  std::array<Stored, kBlock> stored;
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, values.size() - begin);
    std::memcpy(stored.data(), from + begin * sizeof(Stored), count * sizeof(Stored));
    for (std::size_t i = 0; i < count; ++i) values[begin + i] = Format::widen(stored[i]);
  }
}

// --- int8 ---

// The scale of a block: NaN where one of its values is not finite; 0 where all are too small for 1/scale, and so lost.
double block_scale(const std::array<double, kBlock>& x) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> largest{};
  std::array<std::uint64_t, kLanes> beyond{};
  for (std::size_t i = 0; i < kBlock; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double magnitude = std::abs(x[i + lane]);
      largest[lane] = magnitude > largest[lane] ? magnitude : largest[lane];
      beyond[lane] |= (std::bit_cast<std::uint64_t>(x[i + lane]) & kExponent) + (std::uint64_t{1} << 52);
    }
  }
  double all = 0;
  std::uint64_t any_beyond = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    all = std::max(all, largest[lane]);
    any_beyond |= beyond[lane];
  }
  if (any_beyond >> 63 != 0) return std::numeric_limits<double>::quiet_NaN();
  return all < 1e-300 ? 0 : std::min(all, 1e300) / 127;
}

void encode_int8(std::span<const double> values, std::span<double> lost, Bytes& out) {
  constexpr double kRound = 0x1.8p52;  // added and taken away: rounds to a whole number
  make_room(out, values.size() + (values.size() / kBlock + 1) * sizeof(double));
  std::array<double, kBlock> x;
  std::array<std::int8_t, kBlock> q;
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, values.size() - begin);
    std::copy_n(values.data() + begin, count, x.data());
    std::fill(x.begin() + static_cast<std::ptrdiff_t>(count), x.end(), 0.0);
    const double scale = block_scale(x);
    const double inverse = scale > 0 ? 1 / scale : 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      const double steps = x[i] * inverse;
      const double within = steps > 127 ? 127 : steps < -127 ? -127 : steps;
      q[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(within + kRound - kRound));
    }
    append(out, &scale, sizeof(scale));
    append(out, q.data(), count);
    if (lost.empty()) continue;
    for (std::size_t i = 0; i < count; ++i) lost[begin + i] = x[i] - scale * q[i];
  }
}

void decode_int8(Reader& reader, std::span<double> values) {
  std::array<std::int8_t, kBlock> q;
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, values.size() - begin);
    const auto scale = reader.take<double>();
    if (scale < 0) reader.fail("has a negative scale");
    std::memcpy(q.data(), reader.take(count), count);
    for (std::size_t i = 0; i < count; ++i) values[begin + i] = scale * q[i];
  }
}

// --- top_k ---

std::uint64_t magnitude_bits(double x) {  // ordered as magnitudes are; NaN above all
  return std::bit_cast<std::uint64_t>(x) & kMagnitude;
}

// Which values are kept: those above `above`, and the first `equal` of those that are equal to it.
struct Threshold {
  std::uint64_t above = 0;
  std::size_t equal = 0;
};

// The threshold that keeps `kept` of the values, 0 < kept < values.size(). By counting exponents first: sorting out the
// one bucket that the threshold is in is many times faster than sorting out all values.
Threshold find_threshold(std::span<const double> values, std::size_t kept) {
  constexpr int kShift = 51;
  std::array<std::uint32_t, std::size_t{1} << (63 - kShift)> counts{};
  for (const double x : values) ++counts[magnitude_bits(x) >> kShift];
  std::size_t bucket = counts.size() - 1, left = kept;
  while (counts[bucket] < left) left -= counts[bucket--];
  std::vector<std::uint64_t> inside;
  inside.reserve(counts[bucket]);
  for (const double x : values) {
    if (magnitude_bits(x) >> kShift == bucket) inside.push_back(magnitude_bits(x));
  }
  const auto last = inside.begin() + static_cast<std::ptrdiff_t>(left - 1);
  std::nth_element(inside.begin(), last, inside.end(), std::greater<>());
  // What nth_element leaves before `last` is not below it.
  const auto above = static_cast<std::size_t>(std::count_if(inside.begin(), last, [&](auto m) { return m > *last; }));
  return {*last, left - above};
}

void append_skip(Bytes& out, std::size_t skipped) {
  for (; skipped >= 0x80; skipped >>= 7) out.push_back(static_cast<std::byte>(0x80 | (skipped & 0x7f)));
  out.push_back(static_cast<std::byte>(skipped));
}

std::size_t take_skip(Reader& reader) {
  std::size_t skipped = 0;
  for (int shift = 0; shift < 35; shift += 7) {  // up to 2³⁵, beyond any number of values
    const auto byte = reader.take<std::uint8_t>();
    skipped |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return skipped;
  }
  reader.fail("skips more values than there can be");
}

void encode_top(std::span<const double> values, std::size_t kept, std::span<double> lost, Bytes& out) {
  MUSTER_CHECK(values.size() <= std::numeric_limits<std::uint32_t>::max(), "too many values for one message");
  Threshold threshold;  // above 0: all that are not zero
  if (kept < values.size()) threshold = find_threshold(values, kept);
  if (threshold.above == 0) threshold.equal = 0;
  const std::size_t head = out.size();
  append(out, std::array<std::byte, sizeof(std::uint32_t)>{}.data(), sizeof(std::uint32_t));  // known below
  std::vector<float> chosen;
  std::size_t next = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i];
    const std::uint64_t magnitude = magnitude_bits(x);
    const bool ties = magnitude == threshold.above && threshold.equal > 0;
    if (magnitude > threshold.above || ties) {
      if (ties) --threshold.equal;
      append_skip(out, i - next);
      next = i + 1;
      chosen.push_back(to_float32(x));
      if (!lost.empty()) lost[i] = x - chosen.back();
    } else if (!lost.empty()) {
      lost[i] = x;
    }
  }
  const auto number = static_cast<std::uint32_t>(chosen.size());
  std::memcpy(out.data() + head, &number, sizeof(number));
  append(out, chosen.data(), chosen.size() * sizeof(float));
}

void decode_top(Reader& reader, std::size_t kept, std::span<double> values) {
  const std::size_t number = reader.take<std::uint32_t>();
  if (number > std::min(kept, values.size())) reader.fail("keeps more values than it may");
  std::fill(values.begin(), values.end(), 0.0);
  std::vector<std::uint32_t> places(number);
  std::size_t next = 0;
  for (std::uint32_t& place : places) {
    const std::size_t skipped = take_skip(reader);
    if (skipped >= values.size() - next) reader.fail("has a value beyond the last place");
    place = static_cast<std::uint32_t>(next + skipped);
    next = place + std::size_t{1};
  }
  for (const std::uint32_t place : places) values[place] = reader.take<float>();
}

std::uint64_t head_of(Kind kind, std::size_t values) {
  return static_cast<std::uint64_t>(values) << 8 | static_cast<std::uint64_t>(kind);
}

}  // namespace

void Codec::encode(std::span<const double> values, std::span<double> lost, std::vector<std::byte>& out) const {
  MUSTER_CHECK(lost.empty() || lost.size() == values.size(), "what is lost has another length than what is sent");
  const std::uint64_t head = head_of(compression_.kind, values.size());
  switch (compression_.kind) {
    case Kind::none:
      make_room(out, sizeof(head) + values.size_bytes());
      append(out, &head, sizeof(head));
      append(out, values.data(), values.size_bytes());
      std::fill(lost.begin(), lost.end(), 0.0);
      break;
    case Kind::float32:
      append(out, &head, sizeof(head));
      encode_each<Float32>(values, lost, out);
      break;
    case Kind::float16:
      append(out, &head, sizeof(head));
      encode_each<Float16>(values, lost, out);
      break;
    case Kind::int8:
      append(out, &head, sizeof(head));
      encode_int8(values, lost, out);
      break;
    case Kind::top_k:
      MUSTER_CHECK(compression_.kept > 0, "top-k keeps at least one value");
      append(out, &head, sizeof(head));
      encode_top(values, static_cast<std::size_t>(compression_.kept), lost, out);
      break;
  }
}

std::size_t Codec::decode(std::span<const std::byte> bytes, std::span<double> values) const {
  Reader reader(compression_.kind, bytes);
  if (reader.take<std::uint64_t>() != head_of(compression_.kind, values.size())) {
    reader.fail("has another format or another number of values than agreed");
  }
  switch (compression_.kind) {
    case Kind::none: {
      const std::byte* from = reader.take(values.size_bytes());
      if (!values.empty()) std::memcpy(values.data(), from, values.size_bytes());
      break;
    }
    case Kind::float32:
      decode_each<Float32>(reader, values);
      break;
    case Kind::float16:
      decode_each<Float16>(reader, values);
      break;
    case Kind::int8:
      decode_int8(reader, values);
      break;
    case Kind::top_k:
      decode_top(reader, static_cast<std::size_t>(compression_.kept), values);
      break;
  }
  return reader.at();
}

}  // namespace muster
