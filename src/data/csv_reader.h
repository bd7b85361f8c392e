// CSV, a block of whole rows at a time: plain numbers by our own parser (data/csv_plain.h), all else by Arrow's.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/table_reader.h"
#include "data/text_source.h"

namespace muster {

struct CsvHeader {
  Dialect dialect;
  std::vector<std::string> names;
  std::uint64_t line = 1;        // where it stands
  std::uint64_t data_begin = 0;  // offset just behind it
};

// Throws InputError: no header, duplicate or all-numeric names, an unterminated quote.
CsvHeader read_csv_header(const InputFile& file);

// Throws InputError unless both have the same column names; the order may differ.
void check_same_columns(const InputFile& first, const std::vector<std::string>& first_names, const InputFile& file,
                        const std::vector<std::string>& names);

// A stretch of rows of one file.
struct CsvSlice {
  InputFile file;
  CsvHeader header;
  std::uint64_t begin = 0;  // of a row
  std::uint64_t end = 0;    // rows that begin before it
  bool counted = false;     // its rows were counted by a scan: the reader does not count them again
  bool shared = false;      // others read the file too: the reader tells how far it came
};

std::unique_ptr<TableReader> read_csv(std::vector<CsvSlice> slices, std::vector<WantedColumn> wanted,
                                      std::size_t block_bytes = std::size_t{2} << 20);

// What cells of the columns look like in the first block of the slices, or, with to_end, on until each column has shown
// a cell that is not missing. Order as in columns.
std::vector<CellCounts> sample_csv(const std::vector<CsvSlice>& slices, const std::vector<std::string>& columns,
                                   bool to_end, const std::function<void()>& progress);

}  // namespace muster
