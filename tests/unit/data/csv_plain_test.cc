// Blocks of plain numbers read without Arrow are what Arrow makes of them, bit for bit.
#include "data/csv_plain.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>

#include "load_helpers.h"

namespace muster {
namespace {

using Columns = std::vector<std::vector<double>>;

const std::vector<std::string> kNames = {"a", "b", "c"};

// Columns c and a of a text of so many rows; nothing where the block is Arrow's.
std::optional<Columns> read_plain(const std::string& text, std::size_t rows, char delimiter = ',') {
  TableBatch batch;
  if (!PlainCsv(delimiter, kNames, {{"c", false, ""}, {"a", false, ""}}).read(text, rows, batch)) return std::nullopt;
  return Columns{batch.columns[0].numbers, batch.columns[1].numbers};
}

TEST(PlainCsv, ReadsNumbersByName) {
  EXPECT_EQ(read_plain("1,cat,3\n4,,6\n", 2), (Columns{{3, 6}, {1, 4}}));
  EXPECT_EQ(read_plain("\r\n1,2,3\r\n\r\n\n4,5,6", 2), (Columns{{3, 6}, {1, 4}}));
  EXPECT_EQ(read_plain(" 1;2; -3.5e1\t\n", 1, ';'), (Columns{{-35}, {1}}));
  EXPECT_EQ(read_plain("", 0), (Columns{{}, {}}));
  const auto missing = read_plain("1,2,\nNA,5,6\n", 2);
  ASSERT_TRUE(missing);
  EXPECT_TRUE(std::isnan((*missing)[0][0]) && std::isnan((*missing)[1][1]));
  EXPECT_EQ((*missing)[0][1], 6);
}

TEST(PlainCsv, LeavesTheRestToArrow) {
  for (const char* text : {"\"1\",2,3\n", "1,\"2\",3\n", "1,2\n", "1,2,3,\n", "1,2,x\n", "1,2,3 4\n", "1,2, \n",
                           "inf,2,3\n", "1,2,1e999\n", "1,2,3\n4\n", "1,2,+3\n", "1,2,0x10\n"}) {
    EXPECT_FALSE(read_plain(text, static_cast<std::size_t>(std::count(text, text + std::strlen(text), '\n')))) << text;
  }
  EXPECT_FALSE(read_plain("1,2,3\n", 2)) << "not as many rows as were counted";
  EXPECT_FALSE(read_plain("1,2,3\n4,5,6\n", 1));
  TableBatch batch;
  EXPECT_FALSE(PlainCsv(',', kNames, {{"a", true, ""}}).read("1,2,3\n", 1, batch)) << "levels";
  EXPECT_FALSE(PlainCsv(',', kNames, {{"d", false, ""}}).read("1,2,3\n", 1, batch)) << "no such column";
}

std::string spell(std::mt19937_64& random) {
  const double x = std::normal_distribution<double>()(random) * std::pow(10.0, static_cast<double>(random() % 9) - 4);
  switch (random() % 10) {
    case 0:
      return fmt::format("{}", static_cast<std::int64_t>(random() >> (random() % 60)));
    case 1:
      return fmt::format("{:.17g}", x);
    case 2:
      return fmt::format("{:.3e}", x);
    case 3:
      return fmt::format(" {} ", x);
    case 4:
      return random() % 20 == 0 ? "NA" : "0";
    case 5:
      return fmt::format("{}", std::bit_cast<double>(random() % 0x7fe0000000000000));
    default:
      return fmt::format("{:.6f}", x);
  }
}

// The same cells twice; a quote in every row of one table makes it Arrow's.
TEST(PlainCsv, IsArrowBitForBit) {
  const TemporaryDirectory dir;
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::size_t cols = 1 + random() % 12, rows = 1 + random() % 200;
    const char delimiter = ",;\t|"[random() % 4];
    const std::string line_end = random() % 3 == 0 ? "\r\n" : "\n";
    std::string plain, quoted;
    for (std::size_t i = 0; i <= rows; ++i) {
      for (std::size_t j = 0; j <= cols; ++j) {
        const std::string cell = i == 0      ? (j == cols ? "y" : fmt::format("x{}", j))
                                 : j == cols ? fmt::format("{}", i)
                                             : spell(random);
        for (std::string* text : {&plain, &quoted}) *text += cell + delimiter;
      }
      plain += (i == 0 ? "q" : "1") + line_end;
      quoted += (i == 0 ? "q" : "\"1\"") + line_end;
      if (i > 0 && random() % 50 == 0) {
        for (std::string* text : {&plain, &quoted}) *text += line_end;
      }
    }
    LoadRequest request = request_for("", "y");
    request.options.missing = MissingPolicy::drop;
    request.options.storage = StorageChoice::float64;
    request.options.drop = {"q"};
    const auto load_text = [&](const std::string& text) {
      request.options.paths = {dir.file("t.csv", text)};
      return load_on(1 + round % 3, request);
    };
    const Rows own = load_text(plain), arrow = load_text(quoted);
    ASSERT_EQ(own.y, arrow.y);
    ASSERT_EQ(own.x.size(), arrow.x.size());
    for (std::size_t i = 0; i < own.x.size(); ++i) {
      for (std::size_t j = 0; j < cols; ++j)
        ASSERT_EQ(std::bit_cast<std::uint64_t>(own.x[i][j]), std::bit_cast<std::uint64_t>(arrow.x[i][j]));
    }
  }
}

}  // namespace
}  // namespace muster
