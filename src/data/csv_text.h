// Delimited text, cell by cell: slow and exact. Reads headers, and finds the place and the words when Arrow's fast
// reader or a later check refuses a block.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv_cut.h"

namespace muster {

struct CsvRow {
  std::vector<std::string> cells;  // without their quotes
  std::size_t begin = 0;           // of the row in the text
  std::size_t end = 0;             // just behind its line break
  std::size_t open_quote = 0;      // where unterminated: of the quote
  bool unterminated = false;       // the text ended inside quotes
};

// The first row at or after `at`, blank lines skipped; none where only blank lines are left.
std::optional<CsvRow> next_row(std::string_view text, std::size_t at, Dialect dialect);

// Line breaks in text: LF, CR LF and lone CR count one each.
std::size_t count_lines(std::string_view text);

// ',', ';', tab or '|', whichever occurs most outside quotes in the header row; ',' where none does.
char guess_delimiter(std::string_view header);

// The spellings of a missing value: empty, NA, NaN, null, N/A and so on, exactly Arrow's.
bool is_missing(std::string_view cell);

// The cell as a number, blanks around it ignored; nothing where it is none. Infinities and NaN are numbers here.
std::optional<double> as_number(std::string_view cell);

bool is_utf8(std::string_view text);

// A cell or name for a sentence: cut to some 40 characters, line breaks and other control characters shown as '?'.
std::string shown(std::string_view cell);

}  // namespace muster
