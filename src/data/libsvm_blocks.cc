#include "data/libsvm_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr Dialect kLines{'\0', false};

}  // namespace

LibsvmReader::LibsvmReader(const Catalog& catalog, std::vector<Piece> pieces, std::uint32_t lowest,
                           std::uint32_t highest, std::size_t block_bytes)
    : catalog_(catalog), pieces_(std::move(pieces)), lowest_(lowest), highest_(highest), block_bytes_(block_bytes) {}

bool LibsvmReader::open_piece() {
  if (piece_ == pieces_.size()) return false;
  const Piece& piece = pieces_[piece_];
  const InputFile& file = catalog_.files[piece.file];
  const bool packed = file.compression != Compression::none;
  const std::uint64_t end = packed ? std::numeric_limits<std::uint64_t>::max() : piece.end;
  blocks_.emplace(file, kLines, packed ? 0 : first_line(file, piece.begin, piece.end), end, block_bytes_);
  return true;
}

bool LibsvmReader::next(LibsvmRows& rows) {
  while (!blocks_ || !blocks_->next()) {
    if (blocks_) ++piece_;
    blocks_.reset();
    if (!open_piece()) return false;
  }
  bytes_read_ += static_cast<std::int64_t>(blocks_->text().size());
  rows_counted_ += count_libsvm_rows(blocks_->text());
  try {
    parse_libsvm(blocks_->text(), lowest_, highest_, rows);
  } catch (const LibsvmError& error) {
    const std::string_view before = blocks_->text().substr(0, error.offset);
    const std::size_t line_begin = before.find_last_of("\r\n") + 1;  // npos + 1 is 0
    throw InputError(fmt::format("{}:{}:{}: {}", blocks_->file().path,
                                 line_at(blocks_->file(), blocks_->offset() + error.offset),
                                 error.offset - line_begin + 1, error.what()));
  }
  return true;
}

std::string LibsvmReader::where(std::size_t row) const {
  const std::string_view text = blocks_->text();
  std::size_t at = 0;
  while (const auto line = next_row(text, at, kLines)) {
    at = line->end;
    if (count_libsvm_rows(text.substr(line->begin, line->end - line->begin)) == 0) continue;
    if (row-- == 0)
      return fmt::format("{}:{}", blocks_->file().path, line_at(blocks_->file(), blocks_->offset() + line->begin));
  }
  return blocks_->file().path;
}

}  // namespace muster
