// Where rows of delimited text begin, also for a stretch whose beginning may lie inside quotes.
//
// Text is read by a machine of five states. A row begins at the first byte after a line break that is not itself a line
// break (CR or LF), so blank lines are no rows and CR LF is one end. A quote opens only at the start of a cell; inside,
// a doubled quote is a quote; after the closing quote the cell goes on unquoted. This is how Arrow's parser reads.
//
// A stretch of text maps each state it may begin in to what happens then; such maps compose, so workers scan their byte
// ranges at once and learn their true start states from the maps of those before them (Hillis and Steele, "Data
// parallel algorithms", CACM 29(12), 1986).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster {

struct Dialect {
  char delimiter = ',';
  bool quotes = true;  // false: a quote is a byte like others (LIBSVM)
};

enum class CutState : std::uint8_t { row_start, cell_start, in_cell, quoted, quote_in_quoted };
inline constexpr std::size_t kCutStates = 5;
inline constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

// What a stretch of text does to one start state. Offsets are those of the file.
struct CutRun {
  CutState end = CutState::row_start;
  std::uint64_t rows = 0;              // rows that begin in the stretch
  std::uint64_t first_row = kNowhere;  // where the first of them begins
  std::uint64_t last_row = kNowhere;   // and the last
  std::uint64_t last_open = kNowhere;  // the quote that was opened last
};
using CutMap = std::array<CutRun, kCutStates>;  // by start state

// text lies at offset in the file.
CutRun cut(std::string_view text, std::uint64_t offset, Dialect dialect, CutState start);

// first, and then what second says of first's end state.
CutRun then(const CutRun& first, const CutRun& second);

CutMap empty_cut();
// map, followed by text.
void extend(CutMap& map, std::string_view text, std::uint64_t offset, Dialect dialect);

}  // namespace muster
