#include "data/parquet_reader.h"

#include <arrow/array.h>
#include <arrow/compute/api.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include <algorithm>

#include "data/arrow_columns.h"
#include "data/csv_text.h"
#include "data/parquet_pages.h"
#include "muster/error.h"

namespace muster {
namespace {

[[noreturn]] void refuse(const InputFile& file, const std::string& arrow_says) {
  throw InputError(fmt::format("{}: cannot be read as Parquet: {}", file.path, shown(arrow_says)));
}

template <class T>
T value_or_refuse(arrow::Result<T> result, const InputFile& file) {
  if (!result.ok()) refuse(file, result.status().message());
  return std::move(result).ValueUnsafe();
}

// Rows of a batch of so many columns: some 2 MB of numbers, which stay in cache on their way to the matrix.
std::int64_t batch_rows(std::size_t columns) {
  constexpr std::size_t kCells = std::size_t{256} << 10, kFewest = 512, kMost = std::size_t{16} << 10;
  return static_cast<std::int64_t>(std::clamp(kCells / std::max<std::size_t>(columns, 1), kFewest, kMost));
}

std::unique_ptr<parquet::arrow::FileReader> open_parquet(const InputFile& file, std::size_t columns = 1) {
  try {
    arrow::MemoryPool* pool = arrow::system_memory_pool();
    auto source = value_or_refuse(arrow::io::ReadableFile::Open(file.path, pool), file);
    parquet::ArrowReaderProperties rows;
    rows.set_batch_size(batch_rows(columns));
    rows.set_pre_buffer(false);
    rows.set_use_threads(false);
    std::unique_ptr<parquet::arrow::FileReader> reader;
    const arrow::Status made =
        parquet::arrow::FileReader::Make(pool, read_parquet_by_pages(std::move(source), pool), rows, &reader);
    if (!made.ok()) refuse(file, made.message());
    return reader;
  } catch (const parquet::ParquetException& error) {
    refuse(file, error.what());
  }
}

ParquetColumn::Kind kind_of(const arrow::DataType& type) {
  using Kind = ParquetColumn::Kind;
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return Kind::text;
    case arrow::Type::DICTIONARY:
      return kind_of(*static_cast<const arrow::DictionaryType&>(type).value_type());
    default:
      return arrow::is_numeric(type.id()) || arrow::is_decimal(type.id()) || type.id() == arrow::Type::NA ? Kind::number
                                                                                                          : Kind::other;
  }
}

std::shared_ptr<arrow::Array> cast(std::shared_ptr<arrow::Array> cells, const std::shared_ptr<arrow::DataType>& type,
                                   const InputFile& file) {
  if (cells->type_id() == arrow::Type::DICTIONARY) {
    const auto plain = static_cast<const arrow::DictionaryArray&>(*cells).dictionary()->type();
    cells = value_or_refuse(arrow::compute::Cast(*cells, plain, arrow::compute::CastOptions::Unsafe()), file);
  }
  if (cells->type()->Equals(*type)) return cells;
  if (cells->type_id() == arrow::Type::HALF_FLOAT) {
    cells =
        value_or_refuse(arrow::compute::Cast(*cells, arrow::float32(), arrow::compute::CastOptions::Unsafe()), file);
  }
  return value_or_refuse(arrow::compute::Cast(*cells, type, arrow::compute::CastOptions::Unsafe()), file);
}

std::shared_ptr<arrow::Array> as_levels(const std::shared_ptr<arrow::Array>& cells, const InputFile& file) {
  const auto texts = cast(cells, arrow::utf8(), file);
  auto encoded = value_or_refuse(arrow::compute::DictionaryEncode(texts), file);
  return encoded.make_array();
}

class ParquetTableReader final : public TableReader {
 public:
  ParquetTableReader(const std::vector<InputFile>& files, std::vector<Piece> pieces, std::vector<WantedColumn> wanted)
      : files_(files), pieces_(std::move(pieces)), wanted_(std::move(wanted)) {}
  ~ParquetTableReader() override { batches_.reset(); }  // before its file

  bool next(TableBatch& batch) override {
    try {
      while (batches_ || open_group()) {
        std::shared_ptr<arrow::RecordBatch> rows;
        const arrow::Status read = batches_->ReadNext(&rows);
        if (!read.ok()) refuse(file(), read.message());
        if (!rows) {
          close_group();
        } else if (rows->num_rows() > 0) {
          first_row_ = next_row_;
          next_row_ += rows->num_rows();
          copy(*rows, batch);
          return true;
        }
      }
      return false;
    } catch (const parquet::ParquetException& error) {
      refuse(file(), error.what());
    }
  }

  std::string where(std::int64_t row) const override {
    return fmt::format("{}, row {}", file().path, first_row_ + row + 1);
  }
  std::int64_t rows_counted() const override { return rows_counted_; }
  std::int64_t bytes_read() const override { return bytes_read_; }

 private:
  const InputFile& file() const { return files_[pieces_[piece_].file]; }

  // The next row group of the pieces; false at their end.
  bool open_group() {
    if (piece_ == pieces_.size()) return false;
    const Piece& piece = pieces_[piece_];
    if (!reader_) {
      reader_ = open_parquet(file(), wanted_.size());
      group_ = static_cast<int>(piece.begin);
      next_row_ = 0;
      for (int g = 0; g < group_; ++g) next_row_ += reader_->parquet_reader()->metadata()->RowGroup(g)->num_rows();
    }
    const auto metadata = reader_->parquet_reader()->metadata();
    rows_counted_ += metadata->RowGroup(group_)->num_rows();
    bytes_read_ += metadata->RowGroup(group_)->total_compressed_size();
    const arrow::Status opened = reader_->GetRecordBatchReader({group_}, leaves(*metadata->schema()), &batches_);
    if (!opened.ok()) refuse(file(), opened.message());
    return true;
  }

  void close_group() {
    batches_.reset();
    if (++group_ == static_cast<int>(pieces_[piece_].end)) {
      reader_.reset();
      ++piece_;
    }
  }

  // Indices, among the leaves of the schema, of the columns that are needed.
  std::vector<int> leaves(const parquet::SchemaDescriptor& schema) const {
    std::vector<int> found;
    for (int i = 0; i < schema.num_columns(); ++i) {
      const std::string& name = schema.GetColumnRoot(i)->name();
      if (std::any_of(wanted_.begin(), wanted_.end(), [&](const WantedColumn& w) { return w.name == name; }))
        found.push_back(i);
    }
    return found;
  }

  void copy(const arrow::RecordBatch& rows, TableBatch& batch) const {
    std::vector<std::shared_ptr<arrow::Field>> fields;
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const WantedColumn& want : wanted_) {
      const auto cells = rows.GetColumnByName(want.name);
      if (!cells) refuse(file(), "it lacks the column " + want.name);
      columns.push_back(want.text ? as_levels(cells, file()) : cast(cells, arrow::float64(), file()));
      fields.push_back(arrow::field(want.name, columns.back()->type()));
    }
    copy_columns(*arrow::Table::Make(arrow::schema(fields), columns, rows.num_rows()), wanted_, batch);
    for (std::size_t c = 0; c < wanted_.size(); ++c) {
      for (const std::string& level : batch.columns[c].levels) {
        if (is_utf8(level)) continue;
        throw InputError(fmt::format("{}: column '{}' holds '{}', which is not UTF-8 text", file().path,
                                     shown(wanted_[c].name), shown(level)));
      }
    }
  }

  std::vector<InputFile> files_;
  std::vector<Piece> pieces_;
  std::vector<WantedColumn> wanted_;
  std::size_t piece_ = 0;
  int group_ = 0;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::RecordBatchReader> batches_;
  std::int64_t first_row_ = 0, next_row_ = 0;  // of the file
  std::int64_t rows_counted_ = 0, bytes_read_ = 0;
};

}  // namespace

ParquetInfo inspect_parquet(const InputFile& file) {
  const auto reader = open_parquet(file);
  std::shared_ptr<arrow::Schema> schema;
  const arrow::Status read = reader->GetSchema(&schema);
  if (!read.ok()) refuse(file, read.message());
  ParquetInfo info;
  for (const auto& field : schema->fields()) {
    info.columns.push_back({field->name(), kind_of(*field->type()), field->type()->ToString()});
  }
  const auto metadata = reader->parquet_reader()->metadata();
  for (int g = 0; g < metadata->num_row_groups(); ++g) info.group_rows.push_back(metadata->RowGroup(g)->num_rows());
  return info;
}

std::unique_ptr<TableReader> read_parquet(const std::vector<InputFile>& files, std::vector<Piece> pieces,
                                          std::vector<WantedColumn> wanted) {
  return std::make_unique<ParquetTableReader>(files, std::move(pieces), std::move(wanted));
}

}  // namespace muster
