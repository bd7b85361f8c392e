// Numbers read quickly have the bits that std::from_chars and strtod give them, or are left to these.
#include "data/number_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cstdlib>
#include <random>
#include <string>

#include "data/libsvm_text.h"
#include "data/word_ends.h"

namespace muster {
namespace {

const std::string kBehind(kReadOfNumber, ' ');

// Checks one spelling against from_chars; whether it was read.
bool agrees(const std::string& spelled) {
  const std::string text = spelled + kBehind;
  double value = 0, truth = 0;
  const char* to = read_plain_number(text.data(), value);
  if (to == nullptr) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), truth);
  EXPECT_EQ(error, std::errc()) << spelled;
  EXPECT_EQ(to, end) << spelled;
  EXPECT_EQ(std::bit_cast<std::uint64_t>(value), std::bit_cast<std::uint64_t>(truth)) << spelled;
  EXPECT_EQ(truth, std::strtod(text.c_str(), nullptr)) << spelled;
  return true;
}

TEST(NumberText, Spellings) {
  for (const char* plain : {"0",
                            "-0",
                            "-0.0",
                            "7",
                            "12345678",
                            "123456789",
                            "1234567890123456",
                            "0.5",
                            ".5",
                            "5.",
                            "-.25",
                            "1e5",
                            "1E-5",
                            "1e+05",
                            "0.000001",
                            "12345678.12345678",
                            "9007199254740992",

                            "0.1234567890123456789",
                            "1844674407370955161",
                            "1e22",
                            "1e-22"})
    EXPECT_TRUE(agrees(plain)) << plain;
  for (const char* other :
       {"", "-", ".", "+1", " 1", "nan", "inf", "-inf", "1e", "1e+", "x", "--1", "1e1000", "12345678901234567890",
        "0000000000000000000000001", "1.0000000000000000000001", "9007199254740993"})
    EXPECT_FALSE(agrees(other)) << other;
  EXPECT_TRUE(agrees("1x"));  // the caller sees what follows
  EXPECT_TRUE(agrees("1.2.3"));
}

TEST(NumberText, LeadingDigitsOfAnyBytes) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200'000; ++round) {
    char bytes[8];
    int count = 0;
    std::uint64_t value = 0;
    bool going = true;
    for (char& c : bytes) {
      c = random() % 4 != 0 ? static_cast<char>('0' + random() % 10) : static_cast<char>(random());
      going = going && c >= '0' && c <= '9';
      if (!going) continue;
      ++count;
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    const LeadingDigits digits = leading_digits(bytes);
    ASSERT_EQ(digits.count, count);
    ASSERT_EQ(digits.value, value);
  }
}

TEST(NumberText, RandomNumbersInManyFormats) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  int read = 0, all = 0;
  for (int round = 0; round < 100'000; ++round) {
    const double x = normal(random) * std::pow(10.0, static_cast<double>(random() % 12) - 6);
    for (const std::string& text : {fmt::format("{}", x), fmt::format("{:.6f}", x), fmt::format("{:.17g}", x),
                                    fmt::format("{:.18e}", x), fmt::format("{:.3g}", x)}) {
      read += agrees(text);
      ++all;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(read, all * 8 / 10) << "the quick way is the usual one";
  for (int round = 0; round < 100'000; ++round) {
    agrees(fmt::format("{}", std::bit_cast<double>(random())));
    agrees(fmt::format("{}.{}e{}", random() >> (random() % 64), random() >> (random() % 64),
                       static_cast<int>(random() % 60) - 30));
    if (HasFailure()) return;
  }
}

// Halfway between two doubles, and the neighbours of that in the last digit: where rounding twice goes wrong.
TEST(NumberText, NearTies) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200'000; ++round) {
    const std::uint64_t odd = (std::uint64_t{1} << 53) + 1 + 2 * (random() >> 12);  // 54 bits: between two doubles
    for (const std::uint64_t near : {odd - 1, odd, odd + 1}) {
      agrees(fmt::format("{}", near));
      agrees(fmt::format("{}.{}", near / 10, near % 10));
      agrees(fmt::format("{}e-{}", near * 5, 1 + random() % 27));
    }
    if (HasFailure()) return;
  }
}

// Checks one spelling against from_chars; whether it was read.
bool agrees_where_the_end_is_known(const std::string& spelled) {
  const std::string text = "12345:7." + spelled + "9.";  // what stands around it does not matter
  const char* from = text.data() + 8;
  const char* to = from + spelled.size();
  double value = 0, truth = 0;
  const auto [end, error] = std::from_chars(from, to, truth);
  const bool is_number = error == std::errc() && end == to && !spelled.empty();
  std::uint32_t index = 0, true_index = 0;
  const auto [index_end, index_error] = std::from_chars(from, to, true_index);
  if (read_short_index(from, to, index)) {
    EXPECT_TRUE(index_error == std::errc() && index_end == to) << spelled;
    EXPECT_EQ(index, true_index) << spelled;
  }
  if (!read_short_number(from, to, value)) return false;
  EXPECT_TRUE(is_number) << spelled;
  EXPECT_EQ(std::bit_cast<std::uint64_t>(value), std::bit_cast<std::uint64_t>(truth)) << spelled;
  return true;
}

TEST(NumberText, WordsWhoseEndsAreKnown) {
  for (const char* plain : {"0", "-0", "7", "12345678", "1234.678", ".5", "5.", "-.25", "0.", "-0.0",
                            "0.1234567890123456", "-0.123456789", "-1234.678", "0.00000001"})
    EXPECT_TRUE(agrees_where_the_end_is_known(plain)) << plain;
  for (const char* other : {"", "-", ".", "-.", "+1", "123456789", "1.2.3", "0.1.2", "0.12345678901234567", "1e5",
                            "--1", "0.-1", "x", "0.x", "1:2", "12 4"})
    EXPECT_FALSE(agrees_where_the_end_is_known(other)) << other;
  std::mt19937_64 random(5);
  int read = 0;
  for (int round = 0; round < 300'000 && !HasFailure(); ++round) {
    std::string word;
    const std::string_view letters = random() % 8 == 0 ? "0123456789.-+e:x" : "01234567899999.-";
    for (std::size_t size = random() % 18; size > 0; --size) word += letters[random() % letters.size()];
    read += agrees_where_the_end_is_known(random() % 2 == 0 ? word : "0." + word);
  }
  EXPECT_GT(read, 10'000);
}

TEST(WordEnds, AreColonsBlanksAndControlCharacters) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 20'000; ++round) {
    char bytes[kWordEnds];
    std::vector<std::uint32_t> expected;
    const std::uint64_t one_in = 1 + random() % 40;
    for (std::uint32_t i = 0; i < kWordEnds; ++i) {
      bytes[i] = random() % one_in == 0 ? " :\t\n\r:"[random() % 6] : static_cast<char>(random());
      if (bytes[i] == ':' || static_cast<unsigned char>(bytes[i]) <= ' ') expected.push_back(1000 + i);
    }
    const std::uint64_t ends = word_ends(bytes);
    ASSERT_EQ(ends, word_ends_portably(bytes));
    std::uint32_t places[kWordEnds];
    const std::size_t count = write_places(ends, 1000, places);
    ASSERT_EQ(std::vector<std::uint32_t>(places, places + count), expected);
  }
}

TEST(LibsvmText, ValuesAreThoseOfStrtod) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  std::string text;
  std::vector<double> truth;
  std::vector<std::uint32_t> indices;
  for (int row = 0; row < 2'000; ++row) {
    const auto spell = [&](double x) {
      const std::string spelled = random() % 3 == 0   ? fmt::format("{}", x)
                                  : random() % 3 == 0 ? fmt::format("{:.5g}", x)
                                  : random() % 2 == 0 ? fmt::format("{:.6f}", x / 1e4)
                                                      : fmt::format("{:+.17e}", x);
      truth.push_back(std::strtod(spelled.c_str(), nullptr));
      return spelled;
    };
    text += spell(normal(random));
    std::uint32_t index = 0;
    for (std::uint64_t entries = random() % 30; entries > 0; --entries) {
      index += 1 + static_cast<std::uint32_t>(random() % (random() % 10 == 0 ? 40'000'000 : 50));
      indices.push_back(index);
      text += fmt::format("{}{}:{}", random() % 9 == 0 ? "\t " : " ", index, spell(normal(random) * 1e3));
    }
    text += row % 7 == 0 ? " # said\n" : row % 5 == 0 ? "\r\n" : "\n";
  }
  LibsvmRows rows;
  parse_libsvm(text, 0, 2'000'000'000, rows);
  std::vector<double> read;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    read.push_back(rows.labels[i]);
    for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) read.push_back(rows.values[k]);
  }
  EXPECT_EQ(read, truth);
  EXPECT_EQ(std::vector<std::uint32_t>(rows.indices.begin(), rows.indices.end()), indices);
}

}  // namespace
}  // namespace muster
