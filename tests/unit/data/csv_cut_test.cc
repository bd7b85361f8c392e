#include "data/csv_cut.h"

#include <gtest/gtest.h>

#include <random>

#include "data/csv_text.h"

namespace muster {
namespace {

constexpr Dialect kCsv{',', true};

// Row beginnings by the other reader, cell by cell, and whether it ends inside quotes.
std::vector<std::uint64_t> rows_by_cells(const std::string& text, bool& open) {
  std::vector<std::uint64_t> begins;
  open = false;
  for (std::size_t at = 0; const auto row = next_row(text, at, kCsv);) {
    begins.push_back(row->begin);
    open = row->unterminated;
    at = row->end;
  }
  return begins;
}

void expect_same(const CutRun& a, const CutRun& b) {
  EXPECT_EQ(a.end, b.end);
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.first_row, b.first_row);
  EXPECT_EQ(a.last_row, b.last_row);
  EXPECT_EQ(a.last_open, b.last_open);
}

TEST(CsvCut, CountsRowsByHand) {
  const CutRun run = cut("\n\na,b\r\n\r\n\"x\ny\",\"\"\"\"\nlast", 100, kCsv, CutState::row_start);
  EXPECT_EQ(run.rows, 3u);
  EXPECT_EQ(run.first_row, 102u);
  EXPECT_EQ(run.last_open, 115u);  // of the cell that holds one quote
  EXPECT_EQ(run.last_row, 120u);
  EXPECT_EQ(run.end, CutState::in_cell);
}

TEST(CsvCut, QuoteOpensOnlyAtTheStartOfACell) {
  EXPECT_EQ(cut("a\"b\nc", 0, kCsv, CutState::row_start).rows, 2u);
  EXPECT_EQ(cut("\"a\nc", 0, kCsv, CutState::row_start).end, CutState::quoted);
  EXPECT_EQ(cut("\"a\"x\"\nc", 0, kCsv, CutState::row_start).rows, 2u);
}

std::string random_text(std::mt19937& random, std::size_t size) {
  constexpr std::string_view letters = "ab,,\"\"\"\n\r\n1 ";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += letters[random() % letters.size()];
  return text;
}

TEST(CsvCut, AgreesWithTheCellReader) {
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    const std::string text = random_text(random, random() % 60);
    bool open = false;
    const auto begins = rows_by_cells(text, open);
    const CutRun run = cut(text, 0, kCsv, CutState::row_start);
    ASSERT_EQ(run.rows, begins.size()) << text;
    ASSERT_EQ(run.first_row, begins.empty() ? kNowhere : begins.front()) << text;
    ASSERT_EQ(run.last_row, begins.empty() ? kNowhere : begins.back()) << text;
    ASSERT_EQ(run.end == CutState::quoted, open) << text;
  }
}

TEST(CsvCut, MapsComposeFromEveryStateAtEveryByte) {
  std::mt19937 random(2);
  for (int round = 0; round < 100; ++round) {
    const std::string text = random_text(random, 40);
    for (std::size_t at = 0; at <= text.size(); ++at) {
      CutMap map = empty_cut();
      extend(map, std::string_view(text).substr(0, at), 0, kCsv);
      extend(map, std::string_view(text).substr(at), at, kCsv);
      for (std::size_t s = 0; s < kCutStates; ++s) expect_same(map[s], cut(text, 0, kCsv, static_cast<CutState>(s)));
    }
  }
}

TEST(CsvCut, LongTextWithoutQuotesTakesTheSameWay) {
  std::mt19937 random(3);
  std::string text = random_text(random, 20'000);
  std::erase(text, '"');
  std::uint64_t rows = 0;
  bool at_start = true;
  for (const char c : text) {
    const bool line_break = c == '\n' || c == '\r';
    rows += at_start && !line_break;
    at_start = line_break;
  }
  EXPECT_EQ(cut(text, 0, kCsv, CutState::row_start).rows, rows);
  EXPECT_EQ(cut(text, 0, kCsv, CutState::quoted).rows, 0u);
}

TEST(CsvText, CellsByHand) {
  const auto row = next_row("\r\n\"a \"\"b\"\"\",c d,,\"x\ny\"z\r\nnext", 0, kCsv);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->cells, (std::vector<std::string>{"a \"b\"", "c d", "", "x\nyz"}));
  EXPECT_EQ(row->begin, 2u);
}

TEST(CsvText, LinesNumbersAndSpellings) {
  EXPECT_EQ(count_lines("a\nb\r\nc\rd"), 3u);
  EXPECT_EQ(as_number(" -1.5e3 "), -1500.0);
  EXPECT_FALSE(as_number("1.5x"));
  EXPECT_FALSE(as_number(""));
  EXPECT_TRUE(is_missing("N/A"));
  EXPECT_FALSE(is_missing("0"));
  EXPECT_EQ(guess_delimiter("a;\"b,c,d\";e"), ';');
  EXPECT_EQ(guess_delimiter("a\tb"), '\t');
  EXPECT_TRUE(is_utf8("größe €"));
  EXPECT_FALSE(is_utf8("gr\xf6\xdf"));
}

}  // namespace
}  // namespace muster
