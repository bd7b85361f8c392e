// Rows of a table as columns of numbers and of level codes: what CSV and Parquet have in common once Arrow has read
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/partition.h"

namespace muster {

// A column a reader is asked for, by its name in the file.
struct WantedColumn {
  std::string name;
  bool text = false;       // levels; otherwise numbers
  std::string not_number;  // ends the sentence about a cell that is no number: what the user can do
};

struct TableBatch {
  struct Column {
    std::vector<double> numbers;      // numbers: one a row; NaN where missing
    std::vector<std::int32_t> codes;  // text: one a row, into levels; -1 where missing
    std::vector<std::string> levels;  // of this batch
  };
  std::int64_t rows = 0;
  std::vector<Column> columns;  // in the order they were asked for
};

// Reads one worker's pieces in order. Throws InputError.
class TableReader {
 public:
  virtual ~TableReader() = default;
  // False at the end. The batch's vectors are reused.
  virtual bool next(TableBatch& batch) = 0;
  // "file:line" of a row of the last batch, for a sentence.
  virtual std::string where(std::int64_t row) const = 0;
  // So far, counted apart from parsing; without rows that were counted before reading began.
  virtual std::int64_t rows_counted() const = 0;
  virtual std::int64_t bytes_read() const = 0;  // so far, of the files
  // At the end, of files that others read too, where that is to be told.
  virtual std::vector<ReadStretch> stretches() const { return {}; }
};

// What the first rows of a worker's part say of a column.
struct CellCounts {
  std::int64_t numbers = 0, texts = 0;  // missing cells are neither
};

}  // namespace muster
