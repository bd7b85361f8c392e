#include "data/text_source.h"

#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <arrow/util/compression.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {
namespace {

class PlainBytes final : public ByteSource {
 public:
  PlainBytes(const std::string& path, std::uint64_t offset)
      : path_(path), offset_(offset), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  ~PlainBytes() override { close(file_); }

  std::size_t read(char* into, std::size_t bytes) override {
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t got = pread(file_, into + done, bytes - done, static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw InputError(fmt::format("{}: {}", path_, std::strerror(errno)));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
      offset_ += static_cast<std::uint64_t>(got);
    }
    return done;
  }

 private:
  std::string path_;
  std::uint64_t offset_;
  int file_;
};

arrow::Compression::type arrow_compression(Compression compression) {
  switch (compression) {
    case Compression::gzip:
      return arrow::Compression::GZIP;
    case Compression::zstd:
      return arrow::Compression::ZSTD;
    case Compression::bz2:
      return arrow::Compression::BZ2;
    case Compression::lz4:
      return arrow::Compression::LZ4_FRAME;
    case Compression::none:
      break;
  }
  return arrow::Compression::UNCOMPRESSED;
}

class PackedBytes final : public ByteSource {
 public:
  explicit PackedBytes(const InputFile& file) : path_(file.path) {
    auto raw = arrow::io::ReadableFile::Open(file.path, arrow::system_memory_pool());
    if (!raw.ok()) throw InputError(fmt::format("{}: cannot be opened", path_));
    auto codec = arrow::util::Codec::Create(arrow_compression(file.compression));
    if (!codec.ok()) throw InputError(fmt::format("{}: this build cannot unpack such files", path_));
    codec_ = std::move(*codec);
    auto stream = arrow::io::CompressedInputStream::Make(codec_.get(), *raw, arrow::system_memory_pool());
    if (!stream.ok()) throw InputError(fmt::format("{}: cannot be unpacked", path_));
    stream_ = *stream;
  }

  std::size_t read(char* into, std::size_t bytes) override {
    std::size_t done = 0;
    while (done < bytes) {
      const auto got = stream_->Read(static_cast<std::int64_t>(bytes - done), into + done);
      if (!got.ok()) {
        const std::string cause = got.status().message();
        const bool cut_short = cause.find("runcated") != std::string::npos;
        throw InputError(fmt::format("{}: {} after {} bytes of text", path_,
                                     cut_short ? "the packed data end too early" : "the packed data are damaged",
                                     total_ + done));
      }
      if (*got == 0) break;
      done += static_cast<std::size_t>(*got);
    }
    total_ += done;
    return done;
  }

 private:
  std::string path_;
  std::unique_ptr<arrow::util::Codec> codec_;
  std::shared_ptr<arrow::io::CompressedInputStream> stream_;
  std::uint64_t total_ = 0;
};

constexpr std::size_t kLongestRow = std::size_t{1} << 30;

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const InputFile& file, std::uint64_t offset) {
  if (file.compression == Compression::none) return std::make_unique<PlainBytes>(file.path, offset);
  auto source = std::make_unique<PackedBytes>(file);
  std::vector<char> skipped(std::min<std::uint64_t>(offset, 1 << 16));
  while (offset > 0) {
    const std::size_t got = source->read(skipped.data(), std::min<std::uint64_t>(offset, skipped.size()));
    if (got == 0) break;
    offset -= got;
  }
  return source;
}

std::uint64_t line_at(const InputFile& file, std::uint64_t offset) {
  const auto source = open_bytes(file, 0);
  std::string chunk;
  std::uint64_t line = 1;
  bool after_return = false;  // CR LF may lie across two chunks
  while (offset > 0) {
    chunk.resize(std::min<std::uint64_t>(offset, 1 << 20));
    chunk.resize(source->read(chunk.data(), chunk.size()));
    if (chunk.empty()) break;
    if (after_return && chunk.front() == '\n') --line;
    line += count_lines(chunk);
    after_return = chunk.back() == '\r';
    offset -= chunk.size();
  }
  return line;
}

std::uint64_t first_line(const InputFile& file, std::uint64_t begin, std::uint64_t end) {
  if (begin == 0 || begin >= end) return begin;
  constexpr Dialect kLines{'\0', false};
  const auto source = open_bytes(file, begin - 1);
  std::vector<char> chunk(std::size_t{1} << 16);
  CutState state = CutState::in_cell;  // only the byte before the range matters, and it is read first
  for (std::uint64_t at = begin - 1; at < end;) {
    const std::size_t got = source->read(chunk.data(), chunk.size());
    if (got == 0) break;
    const CutRun run = cut({chunk.data(), got}, at, kLines, state);
    if (run.first_row != kNowhere) return std::min(run.first_row, end);
    state = run.end;
    at += got;
  }
  return end;
}

TextBlocks::TextBlocks(const InputFile& file, Dialect dialect, std::uint64_t begin, std::uint64_t end,
                       std::size_t block_bytes)
    : file_(file), dialect_(dialect), end_(end), block_bytes_(block_bytes), buffer_at_(begin), finished_(begin >= end) {
  if (file.compression == Compression::none) block_bytes_ = std::min<std::uint64_t>(block_bytes_, file.bytes + 1);
  if (!finished_) source_ = open_bytes(file, begin);
}

void TextBlocks::fill(std::size_t wanted) {
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  const std::size_t got = source_->read(buffer_.data() + held_, wanted - held_);
  at_end_ = got < wanted - held_;
  held_ += got;
}

bool TextBlocks::next() {
  if (finished_) return false;
  // Move what was read ahead to the front.
  const std::size_t used = text_.empty() ? 0 : static_cast<std::size_t>(text_.data() + text_.size() - buffer_.data());
  if (used > 0) std::memmove(buffer_.data(), buffer_.data() + used, held_ - used);
  held_ -= used;
  buffer_at_ += used;
  text_ = {};
  std::size_t wanted = std::max(block_bytes_, held_ + block_bytes_ / 4);
  while (true) {
    if (!at_end_) fill(wanted);
    find_end();
    if (finished_ || !text_.empty()) break;
    if (held_ >= kLongestRow) {
      throw InputError(fmt::format("{}:{}: a row longer than 1 GiB begins here; is a quote never closed?", file_.path,
                                   line_at(file_, buffer_at_)));
    }
    wanted = held_ * 2;
  }
  return !text_.empty();
}

// Sets text_ to the whole rows held, if there are any, and finished_ where no row of the range is left behind them.
void TextBlocks::find_end() {
  const std::string_view held(buffer_.data(), held_);
  const std::size_t inside =
      static_cast<std::size_t>(std::min<std::uint64_t>(held_, end_ > buffer_at_ ? end_ - buffer_at_ : 0));
  const CutRun own = cut(held.substr(0, inside), buffer_at_, dialect_, CutState::row_start);
  const CutRun beyond = cut(held.substr(inside), buffer_at_ + inside, dialect_, own.end);
  std::size_t end = held_;
  rows_ = own.rows;
  if (own.rows == 0 && (at_end_ || inside < held_)) {
    finished_ = true;  // only blank lines
    next_row_ = beyond.first_row == kNowhere && !at_end_ ? 0 : beyond.first_row;
    return;
  }
  if (beyond.first_row != kNowhere) {
    next_row_ = beyond.first_row;
    end = static_cast<std::size_t>(next_row_ - buffer_at_);
    finished_ = true;
  } else if (at_end_) {
    if (beyond.end == CutState::quoted) {
      const std::uint64_t open = then(own, beyond).last_open;
      throw InputError(fmt::format("{}:{}: a quote opens here and is never closed", file_.path, line_at(file_, open)));
    }
    next_row_ = kNowhere;
    finished_ = true;
  } else {
    // The last row may go on behind what is held.
    if (own.rows < 2) return;
    end = static_cast<std::size_t>(own.last_row - buffer_at_);
    --rows_;
  }
  text_ = held.substr(0, end);
  offset_ = buffer_at_;
}

}  // namespace muster
