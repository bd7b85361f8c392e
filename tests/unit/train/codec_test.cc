#include "train/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "muster/error.h"

namespace muster {
namespace {

using Kind = MessageCompression::Kind;
using Values = std::vector<double>;

constexpr Kind kAll[] = {Kind::none, Kind::float32, Kind::float16, Kind::int8, Kind::top_k};
constexpr std::size_t kHead = 8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Codec codec(Kind kind, std::int64_t kept = 20) {
  return Codec({.kind = kind, .kept = kept});
}

Values normal(std::size_t n, std::uint64_t seed = 1) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> draw;
  Values values(n);
  for (double& value : values) value = draw(engine);
  return values;
}

struct Sent {
  std::vector<std::byte> bytes;
  Values decoded, lost;
};

Sent send(const Codec& with, const Values& values) {
  Sent sent;
  sent.lost.assign(values.size(), -1);
  sent.decoded.assign(values.size(), -1);
  with.encode(values, sent.lost, sent.bytes);
  EXPECT_EQ(with.decode(sent.bytes, sent.decoded), sent.bytes.size());
  return sent;
}

double square(const Values& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// binary16 as IEEE 754 defines it, in the plainest way.
double half_value(int bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Codec, NoneIsExact) {
  const Values values = {0.0, -0.0, 1.0 / 3, 1e308, 5e-324, kInfinity};
  const Sent sent = send(codec(Kind::none), values);
  EXPECT_EQ(std::memcmp(sent.decoded.data(), values.data(), values.size() * sizeof(double)), 0);
  EXPECT_EQ(sent.lost, Values(values.size(), 0));
  EXPECT_EQ(sent.bytes.size(), kHead + 8 * values.size());
}

TEST(Codec, EveryLengthAndWhatIsLostIsTheDifference) {
  for (const Kind kind : kAll) {
    for (const std::size_t n : {0, 1, 2, 255, 256, 257, 512, 1000}) {
      const Values values = normal(n, n);
      const Sent sent = send(codec(kind), values);
      for (std::size_t i = 0; i < n; ++i) {
        EXPECT_EQ(values[i] - sent.decoded[i], sent.lost[i]);
        EXPECT_EQ(sent.decoded[i] + sent.lost[i], values[i]);
      }
    }
  }
}

TEST(Codec, TheSameValuesGiveTheSameBytesWhereverTheyStand) {
  const Values values = normal(1000);
  for (const Kind kind : kAll) {
    const std::vector<std::byte> once = send(codec(kind), values).bytes;
    std::vector<std::byte> after(3, std::byte{7});
    codec(kind).encode(values, {}, after);
    EXPECT_TRUE(std::equal(once.begin(), once.end(), after.begin() + 3, after.end()));
    Values decoded(values.size());  // from an odd address
    EXPECT_EQ(codec(kind).decode(std::span(after).subspan(3), decoded), once.size());
    EXPECT_EQ(decoded, send(codec(kind), values).decoded);
  }
}

TEST(Codec, LostMayBeTheValues) {
  for (const Kind kind : kAll) {
    Values values = normal(1000);
    const Sent sent = send(codec(kind), values);
    std::vector<std::byte> bytes;
    codec(kind).encode(values, values, bytes);
    EXPECT_EQ(bytes, sent.bytes);
    EXPECT_EQ(values, sent.lost);
  }
}

TEST(Codec, Float32RoundsAndSaturates) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const Values values = normal(1000);
  const Sent sent = send(codec(Kind::float32), values);
  EXPECT_EQ(sent.bytes.size(), kHead + 4 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_LE(std::abs(sent.lost[i]), 0x1p-24 * std::abs(values[i]));
  EXPECT_EQ(send(codec(Kind::float32), {1e300, -1e39, kLargest, 0x1p-149, 1 + 0x1p-24, 1 + 0x1.8p-23}).decoded,
            (Values{kLargest, -kLargest, kLargest, 0x1p-149, 1, 1 + 0x1p-22}));
}

TEST(Codec, EveryHalfSurvives) {
  Values values;
  for (int bits = 0; bits < 0x7c00; ++bits) {
    values.push_back(half_value(bits));
    values.push_back(-half_value(bits));
  }
  const Sent sent = send(codec(Kind::float16), values);
  EXPECT_EQ(sent.decoded, values);
  EXPECT_EQ(sent.bytes.size(), kHead + 2 * values.size());
}

// Between every two neighbours: the middle goes to the even one, the least bit beside it to the nearer one.
TEST(Codec, Float16RoundsToNearestEven) {
  Values values, expected;
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const double below = half_value(bits), above = half_value(bits + 1), middle = (below + above) / 2;
    values.insert(values.end(), {middle, std::nextafter(middle, 0), -std::nextafter(middle, kInfinity)});
    expected.insert(expected.end(), {bits % 2 == 0 ? below : above, below, -above});
  }
  EXPECT_EQ(send(codec(Kind::float16), values).decoded, expected);
  EXPECT_EQ(send(codec(Kind::float16), {65504, 65519.9, 65536, -1e300, 0x1p-25, 0x1.0001p-25, -1e-310}).decoded,
            (Values{65504, 65504, 65504, -65504, 0, 0x1p-24, 0}));
}

TEST(Codec, Int8ErrsByHalfAStepOfItsBlock) {
  Values values = normal(1000);
  for (std::size_t i = 256; i < 512; ++i) values[i] *= 1e-9;  // a block of its own scale
  const Sent sent = send(codec(Kind::int8), values);
  EXPECT_EQ(sent.bytes.size(), kHead + 4 * 8 + values.size());
  for (std::size_t block = 0; block < values.size(); block += 256) {
    double largest = 0;
    const std::size_t end = std::min(block + 256, values.size());
    for (std::size_t i = block; i < end; ++i) largest = std::max(largest, std::abs(values[i]));
    for (std::size_t i = block; i < end; ++i) {
      EXPECT_LE(std::abs(sent.lost[i]), largest / 254 * (1 + 1e-13));
      const double steps = sent.decoded[i] / (largest / 127);
      EXPECT_NEAR(steps, std::round(steps), 1e-10);
    }
  }
  EXPECT_EQ(send(codec(Kind::int8), {127, 0.5, 1.5, -2.5, 63.4}).decoded, (Values{127, 0, 2, -2, 63}));
}

TEST(Codec, Int8AtTheEndsOfTheRange) {
  EXPECT_EQ(send(codec(Kind::int8), {1e-305, -1e-310}).decoded, (Values{0, 0}));
  const Values decoded = send(codec(Kind::int8), {std::numeric_limits<double>::max(), -1.0}).decoded;
  EXPECT_NEAR(decoded[0], 1e300, 1e285);
  EXPECT_EQ(decoded[1], 0);
}

TEST(Codec, NaNIsNotHidden) {
  for (const Kind kind : kAll) {
    const Values decoded = send(codec(kind), {1, std::nan(""), 2}).decoded;
    EXPECT_TRUE(std::isnan(decoded[1])) << static_cast<int>(kind);
  }
}

TEST(Codec, TopKeepsTheLargestAndOfEqualsTheFirst) {
  const Values values = {1, -3, 3, 0, 3, -5, 2, 0.5};
  EXPECT_EQ(send(codec(Kind::top_k, 1), values).decoded, (Values{0, 0, 0, 0, 0, -5, 0, 0}));
  EXPECT_EQ(send(codec(Kind::top_k, 3), values).decoded, (Values{0, -3, 3, 0, 0, -5, 0, 0}));
  EXPECT_EQ(send(codec(Kind::top_k, 8), values).decoded, values);
  EXPECT_EQ(send(codec(Kind::top_k, 100), values).decoded, values);
  // Against a stable sort; many are equal, many share an exponent.
  Values many = normal(5000);
  for (std::size_t i = 0; i < many.size(); i += 2) many[i] = std::round(many[i] * 4) / 4;
  std::vector<std::size_t> order(many.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return std::abs(many[a]) > std::abs(many[b]); });
  for (const std::size_t kept : {1, 10, 500, 2000, 3000}) {
    Values expected(many.size(), 0);
    for (std::size_t k = 0; k < kept; ++k) expected[order[k]] = static_cast<float>(many[order[k]]);
    EXPECT_EQ(send(codec(Kind::top_k, static_cast<std::int64_t>(kept)), many).decoded, expected) << kept;
  }
}

TEST(Codec, TopCountsItsBytes) {
  Values values(100'000, 0);
  values[0] = 1, values[128] = 2, values[257] = 3, values[99'999] = 4;  // skips of 0, 127, 128 and 99,741
  EXPECT_EQ(send(codec(Kind::top_k, 1000), values).bytes.size(), kHead + 4 + (1 + 1 + 2 + 3) + 4 * 4);
  EXPECT_EQ(send(codec(Kind::top_k, 1000), Values(1000, 0)).bytes.size(), kHead + 4);
}

// |x − C(x)|² <= (1 − k/d)|x|², what Stich, Cordonnier and Jaggi ask of a compression; equal where all magnitudes are.
TEST(Codec, TopContracts) {
  for (const std::size_t kept : {1, 7, 50, 99}) {
    const double share = 1 - static_cast<double>(kept) / 100;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Values values = normal(100, seed);
      const Sent sent = send(codec(Kind::top_k, static_cast<std::int64_t>(kept)), values);
      EXPECT_LE(square(sent.lost), share * square(values));
    }
    EXPECT_EQ(square(send(codec(Kind::top_k, static_cast<std::int64_t>(kept)), Values(100, 2)).lost),
              4 * (100 - static_cast<double>(kept)));
  }
}

TEST(Codec, RoundingContracts) {
  const Values values = normal(1000);
  EXPECT_LE(square(send(codec(Kind::float32), values).lost), 0x1p-48 * square(values));
  EXPECT_LE(square(send(codec(Kind::float16), values).lost), 0x1p-22 * square(values));
  EXPECT_LE(square(send(codec(Kind::int8), values).lost), 1e-3 * square(values));
}

// Error feedback: what has arrived after T steps is the sum of what was meant, but for the last loss alone.
TEST(Codec, ErrorFeedbackLosesOnlyTheLast) {
  constexpr std::size_t kLength = 300;
  for (const Kind kind : kAll) {
    Values meant(kLength, 0), arrived(kLength, 0), lost(kLength, 0);
    for (std::uint64_t step = 0; step < 200; ++step) {
      Values next = normal(kLength, step);
      for (std::size_t i = 0; i < kLength; ++i) {
        meant[i] += next[i];
        next[i] += lost[i];
      }
      const Sent sent = send(codec(kind), next);
      lost = sent.lost;
      for (std::size_t i = 0; i < kLength; ++i) arrived[i] += sent.decoded[i];
    }
    for (std::size_t i = 0; i < kLength; ++i) EXPECT_NEAR(meant[i] - arrived[i], lost[i], 1e-11);
    EXPECT_LT(std::sqrt(square(lost)), 30 * std::sqrt(kLength));  // it stays bounded: (2/δ)·|x| for top_k
  }
}

TEST(Codec, RefusesWhatOthersSent) {
  const Values values = normal(100);
  Values decoded(values.size());
  for (const Kind kind : kAll) {
    const std::vector<std::byte> bytes = send(codec(kind), values).bytes;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_THROW(codec(kind).decode(std::span(bytes).first(length), decoded), ClusterError);
    }
    for (const Kind other : kAll) {
      if (other == kind) continue;
      EXPECT_THROW(codec(other).decode(bytes, decoded), ClusterError);
    }
    Values longer(values.size() + 1);
    EXPECT_THROW(codec(kind).decode(bytes, longer), ClusterError);
  }
  const std::vector<std::byte> ten = send(codec(Kind::top_k, 10), values).bytes;
  EXPECT_THROW(codec(Kind::top_k, 9).decode(ten, decoded), ClusterError);
  std::vector<std::byte> negative = send(codec(Kind::int8), values).bytes;
  negative[kHead + 7] |= std::byte{0x80};  // the sign of the first scale
  EXPECT_THROW(codec(Kind::int8).decode(negative, decoded), ClusterError);
}

// Right heads with random bodies, and messages with a few bytes changed, in exactly as much memory as they have.
TEST(Codec, DamagedMessagesNeverCrash) {
  std::mt19937_64 engine(5);
  std::size_t refused = 0;
  for (int trial = 0; trial < 20'000; ++trial) {
    const Kind kind = kAll[engine() % std::size(kAll)];
    const std::size_t n = engine() % 600;
    std::vector<std::byte> bytes = send(codec(kind), Values(n, 1)).bytes;
    if (trial % 2 == 0) {
      for (std::size_t i = kHead; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(engine());
    } else {
      for (int change = 0; change < 3; ++change) bytes[engine() % bytes.size()] = static_cast<std::byte>(engine());
    }
    if (trial % 3 == 0) bytes.resize(engine() % (bytes.size() + 1));
    bytes.shrink_to_fit();
    Values decoded(n);
    try {
      EXPECT_LE(codec(kind).decode(bytes, decoded), bytes.size());
    } catch (const ClusterError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 5'000U);
}

}  // namespace
}  // namespace muster
