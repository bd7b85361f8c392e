// Parquet through Arrow: row groups, only the columns that are needed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/table_reader.h"

namespace muster {

struct ParquetColumn {
  enum class Kind { number, text, other };
  std::string name;
  Kind kind = Kind::other;
  std::string type;  // in Arrow's words, for a sentence
};

struct ParquetInfo {
  std::vector<ParquetColumn> columns;
  std::vector<std::int64_t> group_rows;
};

// Reads the footer. Throws InputError.
ParquetInfo inspect_parquet(const InputFile& file);

// pieces: of row groups. Columns must be numbers or text in every file.
std::unique_ptr<TableReader> read_parquet(const std::vector<InputFile>& files, std::vector<Piece> pieces,
                                          std::vector<WantedColumn> wanted);

}  // namespace muster
