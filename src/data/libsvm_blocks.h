// LIBSVM files read in blocks of whole lines.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/libsvm_text.h"
#include "data/partition.h"
#include "data/text_source.h"

namespace muster {

// Beyond it an index is taken for a mistake; a model of so many columns has 16 GB.
inline constexpr std::uint32_t kHighestLibsvmIndex = 2'000'000'000;

class LibsvmReader {
 public:
  // Indices outside [lowest, highest] are refused.
  LibsvmReader(const Catalog& catalog, std::vector<Piece> pieces, std::uint32_t lowest, std::uint32_t highest,
               std::size_t block_bytes = std::size_t{512} << 10);

  // False at the end. Throws InputError "file:line:column: …".
  bool next(LibsvmRows& rows);

  std::uint64_t rows_counted() const { return rows_counted_; }  // so far, apart from parsing
  std::int64_t bytes_read() const { return bytes_read_; }
  // "file:line" of a row of the last block.
  std::string where(std::size_t row) const;

 private:
  bool open_piece();
  Catalog catalog_;
  std::vector<Piece> pieces_;
  std::uint32_t lowest_, highest_;
  std::size_t block_bytes_;
  std::size_t piece_ = 0;
  std::optional<TextBlocks> blocks_;
  std::uint64_t rows_counted_ = 0;
  std::int64_t bytes_read_ = 0;
};

}  // namespace muster
