#include "data/parquet_pages.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace muster {
namespace {

// Bytes [begin, end) of a file, in order. What is looked at before it is read is held.
class ColumnStream final : public arrow::io::InputStream {
 public:
  ColumnStream(std::shared_ptr<arrow::io::RandomAccessFile> file, std::int64_t begin, std::int64_t end,
               arrow::MemoryPool* pool)
      : file_(std::move(file)), pool_(pool), begin_(begin), next_(begin), end_(end) {}

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<std::int64_t> Tell() const override { return next_ - held() - begin_; }

  arrow::Result<std::string_view> Peek(std::int64_t bytes) override {
    if (bytes > held()) ARROW_RETURN_NOT_OK(hold(bytes));
    return std::string_view(held_.data() + at_, static_cast<std::size_t>(std::min(bytes, held())));
  }

  arrow::Result<std::int64_t> Read(std::int64_t bytes, void* out) override {
    const std::int64_t from_held = std::min(bytes, held());
    std::copy_n(held_.data() + at_, from_held, static_cast<char*>(out));
    at_ += static_cast<std::size_t>(from_held);
    if (from_held == bytes) return bytes;
    ARROW_ASSIGN_OR_RAISE(const std::int64_t more, read(bytes - from_held, static_cast<char*>(out) + from_held));
    return from_held + more;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(bytes, pool_));
    ARROW_ASSIGN_OR_RAISE(const std::int64_t read, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read, false));
    buffer->ZeroPadding();
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  std::int64_t held() const { return static_cast<std::int64_t>(held_.size() - at_); }

  // From the file, past what is held; fewer bytes at its end.
  arrow::Result<std::int64_t> read(std::int64_t bytes, char* out) {
    ARROW_ASSIGN_OR_RAISE(const std::int64_t count, file_->ReadAt(next_, std::min(bytes, end_ - next_), out));
    next_ += count;
    return count;
  }

  // So many bytes, where there are.
  arrow::Status hold(std::int64_t bytes) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
    const std::size_t before = held_.size();
    held_.resize(static_cast<std::size_t>(std::min(bytes, held() + end_ - next_)));
    const auto count = read(static_cast<std::int64_t>(held_.size() - before), held_.data() + before);
    held_.resize(before + static_cast<std::size_t>(count.ok() ? *count : 0));
    return count.status();
  }

  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  arrow::MemoryPool* pool_;
  std::int64_t begin_, next_, end_;  // of the file; next_: past what is held
  std::vector<char> held_;
  std::size_t at_ = 0;  // in what is held
  bool closed_ = false;
};

// The pages of a column, by a reader for the dictionary and another for what follows. Arrow's unpacks all pages into
// one buffer, which stays as large as the largest of them: often the dictionary, of which the decoder has a copy.
class PagesOfColumn final : public parquet::PageReader {
 public:
  PagesOfColumn(std::shared_ptr<ColumnStream> stream, const parquet::ColumnChunkMetaData& column,
                const parquet::ReaderProperties& properties, bool always_compressed)
      : stream_(std::move(stream)),
        values_(column.num_values()),
        codec_(column.compression()),
        properties_(properties),
        always_compressed_(always_compressed) {
    open();
  }

  std::shared_ptr<parquet::Page> NextPage() override {
    if (std::exchange(dictionary_read_, false)) open();  // the stream goes on behind it
    auto page = pages_->NextPage();
    dictionary_read_ = page != nullptr && page->type() == parquet::PageType::DICTIONARY_PAGE;
    return page;
  }
  void set_max_page_header_size(std::uint32_t size) override { pages_->set_max_page_header_size(size); }

 private:
  void open() { pages_ = parquet::PageReader::Open(stream_, values_, codec_, properties_, always_compressed_); }

  std::shared_ptr<ColumnStream> stream_;
  std::int64_t values_;
  parquet::Compression::type codec_;
  parquet::ReaderProperties properties_;
  bool always_compressed_;
  bool dictionary_read_ = false;
  std::unique_ptr<parquet::PageReader> pages_;
};

class PagesOfGroup final : public parquet::RowGroupReader::Contents {
 public:
  PagesOfGroup(std::shared_ptr<arrow::io::RandomAccessFile> file, const parquet::ReaderProperties& properties,
               std::shared_ptr<parquet::FileMetaData> of_file, std::shared_ptr<parquet::RowGroupReader> arrows)
      : file_(std::move(file)), properties_(properties), of_file_(std::move(of_file)), arrows_(std::move(arrows)) {}

  const parquet::RowGroupMetaData* metadata() const override { return arrows_->metadata(); }
  const parquet::ReaderProperties* properties() const override { return &properties_; }

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int i) override {
    const auto column = metadata()->ColumnChunk(i);
    if (column->crypto_metadata()) return arrows_->GetColumnPageReader(i);  // refused there
    std::int64_t begin = column->data_page_offset();
    if (column->has_dictionary_page() && column->dictionary_page_offset() > 0)
      begin = std::min(begin, column->dictionary_page_offset());
    const auto size = file_->GetSize();
    if (!size.ok() || begin < 0 || column->total_compressed_size() < 0 || begin > *size)
      throw parquet::ParquetException("a column lies outside of the file");
    // Old writers left the dictionary's head out of the size (PARQUET-816).
    const parquet::ApplicationVersion& writer = of_file_->writer_version();
    const bool short_by_a_head = writer.VersionLt(parquet::ApplicationVersion::PARQUET_816_FIXED_VERSION());
    constexpr std::int64_t kLongestHead = 100;
    const std::int64_t length = column->total_compressed_size() + (short_by_a_head ? kLongestHead : 0);
    // And older ones did not say that pages are compressed.
    const bool always_compressed = writer.VersionLt(parquet::ApplicationVersion::PARQUET_CPP_10353_FIXED_VERSION());
    return std::make_unique<PagesOfColumn>(
        std::make_shared<ColumnStream>(file_, begin, begin + std::min(length, *size - begin),
                                       properties_.memory_pool()),
        *column, properties_, always_compressed);
  }

 private:
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  parquet::ReaderProperties properties_;
  std::shared_ptr<parquet::FileMetaData> of_file_;
  std::shared_ptr<parquet::RowGroupReader> arrows_;
};

class PagesOfFile final : public parquet::ParquetFileReader::Contents {
 public:
  PagesOfFile(std::shared_ptr<arrow::io::RandomAccessFile> file, arrow::MemoryPool* pool)
      : file_(std::move(file)), properties_(pool), arrows_(Contents::Open(file_, properties_)) {}

  void Close() override { arrows_->Close(); }
  std::shared_ptr<parquet::RowGroupReader> GetRowGroup(int i) override {
    return std::make_shared<parquet::RowGroupReader>(
        std::make_unique<PagesOfGroup>(file_, properties_, metadata(), arrows_->GetRowGroup(i)));
  }
  std::shared_ptr<parquet::FileMetaData> metadata() const override { return arrows_->metadata(); }
  std::shared_ptr<parquet::PageIndexReader> GetPageIndexReader() override { return arrows_->GetPageIndexReader(); }
  parquet::BloomFilterReader& GetBloomFilterReader() override { return arrows_->GetBloomFilterReader(); }

 private:
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  parquet::ReaderProperties properties_;
  std::unique_ptr<Contents> arrows_;
};

}  // namespace

std::unique_ptr<parquet::ParquetFileReader> read_parquet_by_pages(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                                  arrow::MemoryPool* pool) {
  auto reader = std::make_unique<parquet::ParquetFileReader>();
  reader->Open(std::make_unique<PagesOfFile>(std::move(file), pool));
  return reader;
}

}  // namespace muster
