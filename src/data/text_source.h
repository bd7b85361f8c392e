// Text files as bytes, and as blocks of whole rows. No file is ever held whole or mapped: what a rank holds besides its
// matrix stays bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv_cut.h"
#include "data/discover.h"

namespace muster {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `bytes` bytes; fewer only at the end. Throws InputError.
  virtual std::size_t read(char* into, std::size_t bytes) = 0;
};

// The file's text, unpacked, from offset (of the unpacked text) on. Throws InputError.
std::unique_ptr<ByteSource> open_bytes(const InputFile& file, std::uint64_t offset);

// The number of the line (from 1) that holds byte `offset` of the unpacked text: reads everything before it.
std::uint64_t line_at(const InputFile& file, std::uint64_t offset);

// Where the first line begins that begins in [begin, end) and is not blank; end where none does.
std::uint64_t first_line(const InputFile& file, std::uint64_t begin, std::uint64_t end);

// Rows that begin in [begin, end) of a text file, in blocks that end where a row ends. `begin` must be the beginning of
// a row, or of blank lines before one; a row that begins before end is delivered whole.
class TextBlocks {
 public:
  TextBlocks(const InputFile& file, Dialect dialect, std::uint64_t begin, std::uint64_t end, std::size_t block_bytes);

  // False at the end. text() is then valid until the next call. Throws InputError; for a quote that is never closed it
  // names the line where it opens.
  bool next();
  std::string_view text() const { return text_; }
  std::uint64_t offset() const { return offset_; }  // of text() in the unpacked file
  std::uint64_t rows() const { return rows_; }      // in text(), counted by the cutting machine
  const InputFile& file() const { return file_; }
  // At the end: where the row behind the last one begins; kNowhere where the file ended, 0 where it was not come upon.
  std::uint64_t next_row() const { return next_row_; }

 private:
  void fill(std::size_t wanted);
  void find_end();
  InputFile file_;
  Dialect dialect_;
  std::uint64_t end_;
  std::size_t block_bytes_;
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;     // [text_ | bytes read ahead]
  std::size_t held_ = 0;         // bytes in buffer_
  std::uint64_t buffer_at_ = 0;  // offset of buffer_ in the file
  bool at_end_ = false;          // the source is exhausted
  bool finished_ = false;
  std::string_view text_;
  std::uint64_t offset_ = 0, rows_ = 0, next_row_ = 0;
};

}  // namespace muster
