// Blocks of CSV that hold nothing but plainly written numbers in the columns asked for, as most tables do, without
// Arrow.
//
// A cell is a number as std::from_chars reads it, blanks around it ignored, or missing as Arrow spells it. A quote, a
// column of levels, a ragged row, or a cell that is neither makes the block one for Arrow to read or to refuse, so what
// a table holds does not depend on who read it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "data/table_reader.h"

namespace muster {

class PlainCsv {
 public:
  // names: of the file's columns.
  PlainCsv(char delimiter, const std::vector<std::string>& names, const std::vector<WantedColumn>& wanted);

  // text: so many whole rows, as the cutting machine counts them. False, and the batch is not to be used, where the
  // block is Arrow's.
  bool read(std::string_view text, std::size_t rows, TableBatch& batch);

 private:
  static constexpr std::size_t kNotWanted = static_cast<std::size_t>(-1);

  const char* read_row(const char* at, const char* end, std::size_t row);
  const char* read_cell(const char* at, const char* end, double& value) const;
  const char* cell_end(const char* at, const char* end) const;
  bool ends_cell(char c) const { return c == delimiter_ || c == '\n' || c == '\r'; }

  char delimiter_;
  std::size_t wanted_;
  bool only_numbers_;
  std::vector<std::size_t> place_;  // among those wanted, by column of the file
  std::vector<double*> numbers_;    // of the batch, by column of the file; null: not wanted
};

}  // namespace muster
