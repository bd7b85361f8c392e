// Who reads what: the files as one sequence, cut into n contiguous parts. Depends on nothing but files and n, so that
// every worker, on every transport, cuts alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/discover.h"

namespace muster {

// Rows that begin at [begin, end): bytes of an uncompressed text, row groups of a Parquet file, or [0, 1) for a whole
// compressed file.
struct Piece {
  std::size_t file = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};
// What one of several readers of a file has read of it: the rows from that at begin up to, and without, that at next.
struct ReadStretch {
  std::string file;
  std::uint64_t begin = 0;
  std::uint64_t next = 0;  // kNowhere: the file ended
};

using Parts = std::vector<std::vector<Piece>>;  // by worker; a part may be empty

// For Parquet: group_rows[file][row group] is its number of rows. Ignored otherwise.
Parts partition(const Catalog& catalog, int workers, const std::vector<std::vector<std::int64_t>>& group_rows);

bool is_splittable(const Catalog& catalog, const InputFile& file);

}  // namespace muster
