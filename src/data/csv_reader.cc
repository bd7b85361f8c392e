#include "data/csv_reader.h"

#include <arrow/array.h>
#include <arrow/csv/api.h>
#include <arrow/io/memory.h>
#include <arrow/memory_pool.h>
#include <arrow/table.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "data/arrow_columns.h"
#include "data/csv_plain.h"
#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {
namespace {

// Parses a block of whole rows. Fails with Arrow's words, which name neither line nor column of the file.
arrow::Result<std::shared_ptr<arrow::Table>> parse(std::string_view text, const CsvHeader& header,
                                                   const std::vector<std::string>& columns,
                                                   const std::vector<std::shared_ptr<arrow::DataType>>& types,
                                                   bool skip_ragged = false) {
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size =
      static_cast<std::int32_t>(std::min<std::size_t>(text.size(), std::numeric_limits<std::int32_t>::max()));
  read.column_names = header.names;
  auto rules = arrow::csv::ParseOptions::Defaults();
  rules.delimiter = header.dialect.delimiter;
  rules.newlines_in_values = true;
  if (skip_ragged) rules.invalid_row_handler = [](const auto&) { return arrow::csv::InvalidRowResult::Skip; };
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.strings_can_be_null = true;
  convert.include_columns = columns;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i]) convert.column_types[columns[i]] = types[i];
  }
  auto input = std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(
      reinterpret_cast<const std::uint8_t*>(text.data()), static_cast<std::int64_t>(text.size())));
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::csv::TableReader::Make(arrow::io::IOContext(arrow::system_memory_pool()),
                                                                   std::move(input), read, rules, convert));
  return reader->Read();
}

std::string ragged(const CsvRow& row, const CsvHeader& header) {
  return fmt::format("{} cell{} where the header has {}", row.cells.size(), row.cells.size() == 1 ? "" : "s",
                     header.names.size());
}

class CsvTableReader final : public TableReader {
 public:
  CsvTableReader(std::vector<CsvSlice> slices, std::vector<WantedColumn> wanted, std::size_t block_bytes)
      : slices_(std::move(slices)), wanted_(std::move(wanted)), block_bytes_(block_bytes) {
    for (const WantedColumn& column : wanted_) {
      names_.push_back(column.name);
      types_.push_back(column.text ? arrow::dictionary(arrow::int32(), arrow::utf8()) : arrow::float64());
    }
  }

  bool next(TableBatch& batch) override {
    if (refused_) throw InputError(*refused_);
    while (!blocks_ || !blocks_->next()) {
      if (blocks_) close_slice();
      if (slice_ == slices_.size()) return false;
      const CsvSlice& slice = slices_[slice_];
      blocks_.emplace(slice.file, slice.header.dialect, slice.begin, slice.end, block_bytes_);
      plain_.emplace(slice.header.dialect.delimiter, slice.header.names, wanted_);
    }
    if (!slices_[slice_].counted) rows_counted_ += static_cast<std::int64_t>(blocks_->rows());
    bytes_read_ += static_cast<std::int64_t>(blocks_->text().size());
    if (plain_->read(blocks_->text(), blocks_->rows(), batch)) return true;
    auto table = parse(blocks_->text(), header(), names_, types_);
    if (!table.ok()) {
      // The rows above the one that is refused come first: they may hold an earlier fault that only the caller sees.
      const Fault fault = find_fault(table.status().message());
      if (fault.row_begin > 0) table = parse(blocks_->text().substr(0, fault.row_begin), header(), names_, types_);
      if (!table.ok()) throw InputError(fault.sentence);
      refused_ = fault.sentence;
    }
    copy_columns(**table, wanted_, batch);
    return true;
  }

  std::string where(std::int64_t row) const override {
    std::size_t at = 0;
    for (std::int64_t i = 0;; ++i) {
      const auto here = next_row(blocks_->text(), at, header().dialect);
      MUSTER_CHECK(here, "a row of the batch is in its block");
      if (i == row) return place(here->begin);
      at = here->end;
    }
  }

  std::int64_t rows_counted() const override { return rows_counted_; }
  std::int64_t bytes_read() const override { return bytes_read_; }
  std::vector<ReadStretch> stretches() const override { return stretches_; }

 private:
  void close_slice() {
    const CsvSlice& slice = slices_[slice_++];
    if (slice.shared) stretches_.push_back({slice.file.path, slice.begin, blocks_->next_row()});
    blocks_.reset();
  }
  const CsvHeader& header() const { return slices_[slice_].header; }

  std::string place(std::size_t at) const {
    return fmt::format("{}:{}", blocks_->file().path, line_at(blocks_->file(), blocks_->offset() + at));
  }

  struct Fault {
    std::size_t row_begin;
    std::string sentence;
  };

  // Arrow refused the block: the first row that gives a reason.
  Fault find_fault(const std::string& arrow_says) const {
    std::vector<std::size_t> at_column;
    for (const std::string& name : names_) {
      at_column.push_back(static_cast<std::size_t>(std::find(header().names.begin(), header().names.end(), name) -
                                                   header().names.begin()));
    }
    std::size_t at = 0;
    while (const auto row = next_row(blocks_->text(), at, header().dialect)) {
      at = row->end;
      if (row->unterminated) return {row->begin, place(row->open_quote) + ": a quote opens here and is never closed"};
      if (row->cells.size() != header().names.size()) {
        return {row->begin, place(row->begin) + ": " + ragged(*row, header())};
      }
      for (std::size_t c = 0; c < names_.size(); ++c) {
        const std::string& cell = row->cells[at_column[c]];
        if (wanted_[c].text ? is_utf8(cell) : is_missing(cell) || as_number(cell)) continue;
        return {row->begin,
                fmt::format("{}: column '{}' holds '{}', which is not {}", place(row->begin), shown(names_[c]),
                            shown(cell), wanted_[c].text ? "UTF-8 text" : "a number" + wanted_[c].not_number)};
      }
    }
    return {0, fmt::format("{}: cannot be read: {}", place(0), shown(arrow_says))};
  }

  std::vector<CsvSlice> slices_;
  std::vector<WantedColumn> wanted_;
  std::size_t block_bytes_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<arrow::DataType>> types_;
  std::size_t slice_ = 0;
  std::optional<TextBlocks> blocks_;
  std::optional<PlainCsv> plain_;       // for blocks of the slice
  std::optional<std::string> refused_;  // the sentence about the row below the last batch
  std::int64_t rows_counted_ = 0, bytes_read_ = 0;
  std::vector<ReadStretch> stretches_;
};

// A column Arrow takes for something else than numbers, cell by cell.
void count_texts(const arrow::ChunkedArray& column, CellCounts& counts) {
  for (const auto& chunk : column.chunks()) {
    const auto& cells = static_cast<const arrow::BinaryArray&>(*chunk);
    for (std::int64_t i = 0; i < cells.length(); ++i) {
      if (cells.IsNull(i)) continue;
      ++(as_number(cells.GetView(i)) ? counts.numbers : counts.texts);
    }
  }
}

// Adds what the block shows. A block Arrow refuses shows nothing: reading it will say why.
void sample_block(std::string_view text, const CsvHeader& header, const std::vector<std::string>& columns,
                  std::vector<CellCounts>& counts) {
  const auto inferred = parse(text, header, columns, {}, true);
  if (!inferred.ok()) return;
  std::vector<std::string> others;
  std::vector<std::size_t> other_at;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const arrow::ChunkedArray& column = *(*inferred)->column(static_cast<int>(c));
    if (column.type()->id() == arrow::Type::INT64 || column.type()->id() == arrow::Type::DOUBLE) {
      counts[c].numbers += column.length() - column.null_count();
    } else if (column.type()->id() != arrow::Type::NA) {
      others.push_back(columns[c]);
      other_at.push_back(c);
    }
  }
  if (others.empty()) return;
  const auto texts =
      parse(text, header, others, std::vector<std::shared_ptr<arrow::DataType>>(others.size(), arrow::binary()), true);
  if (!texts.ok()) return;
  for (std::size_t i = 0; i < others.size(); ++i)
    count_texts(*(*texts)->column(static_cast<int>(i)), counts[other_at[i]]);
}

bool all_seen(const std::vector<CellCounts>& counts) {
  return std::all_of(counts.begin(), counts.end(), [](const CellCounts& c) { return c.numbers + c.texts > 0; });
}

void check_names(const InputFile& file, const CsvHeader& header) {
  std::vector<std::string> sorted = header.names;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    throw InputError(fmt::format("{}:{}: two columns are named '{}'", file.path, header.line, shown(*twice)));
  }
  for (const std::string& name : header.names) {
    if (!is_utf8(name))
      throw InputError(
          fmt::format("{}:{}: the column name '{}' is not UTF-8 text", file.path, header.line, shown(name)));
  }
  const bool numbers = std::all_of(header.names.begin(), header.names.end(),
                                   [](const std::string& name) { return as_number(name).has_value(); });
  if (numbers) {
    throw InputError(
        fmt::format("{}:{}: the first line holds only numbers; a line of column names is needed above the data",
                    file.path, header.line));
  }
}

}  // namespace

CsvHeader read_csv_header(const InputFile& file) {
  constexpr std::size_t kLongestHeader = std::size_t{256} << 20;
  const auto source = open_bytes(file, 0);
  std::string text;
  std::size_t wanted = std::size_t{16} << 10;
  while (true) {
    const std::size_t held = text.size();
    text.resize(wanted);
    text.resize(held + source->read(text.data() + held, wanted - held));
    const bool at_end = text.size() < wanted;
    const std::size_t mark = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
    CsvHeader header;
    const auto plain = next_row(text, mark, {'\0', true});
    if (!plain && at_end) throw InputError(fmt::format("{}: the file is empty", file.path));
    // A row that reaches the end of what was read may be longer, or end in CR LF cut in two.
    if (plain && (at_end || plain->end < text.size())) {
      header.line = 1 + count_lines(std::string_view(text).substr(0, plain->begin));
      header.dialect.delimiter =
          guess_delimiter(std::string_view(text).substr(plain->begin, plain->end - plain->begin));
      const auto row = next_row(text, mark, header.dialect);
      if (at_end || row->end < text.size()) {
        if (row->unterminated) {
          throw InputError(fmt::format("{}:{}: a quote opens here and is never closed", file.path,
                                       1 + count_lines(std::string_view(text).substr(0, row->open_quote))));
        }
        header.names = row->cells;
        header.data_begin = row->end;
        check_names(file, header);
        return header;
      }
    }
    if (text.size() >= kLongestHeader)
      throw InputError(fmt::format("{}: the first row is longer than 256 MiB", file.path));
    wanted = text.size() * 4;
  }
}

void check_same_columns(const InputFile& first, const std::vector<std::string>& first_names, const InputFile& file,
                        const std::vector<std::string>& names) {
  const auto require = [](const std::vector<std::string>& have, const std::vector<std::string>& need,
                          const InputFile& lacking, const InputFile& having) {
    std::vector<std::string> sorted = have;
    std::sort(sorted.begin(), sorted.end());
    for (const std::string& name : need) {
      if (std::binary_search(sorted.begin(), sorted.end(), name)) continue;
      throw InputError(fmt::format("{}: lacks the column '{}' that {} has", lacking.path, shown(name), having.path));
    }
  };
  require(names, first_names, file, first);
  require(first_names, names, first, file);
}

std::unique_ptr<TableReader> read_csv(std::vector<CsvSlice> slices, std::vector<WantedColumn> wanted,
                                      std::size_t block_bytes) {
  return std::make_unique<CsvTableReader>(std::move(slices), std::move(wanted), block_bytes);
}

std::vector<CellCounts> sample_csv(const std::vector<CsvSlice>& slices, const std::vector<std::string>& columns,
                                   bool to_end, const std::function<void()>& progress) {
  constexpr std::size_t kSampleBytes = std::size_t{1} << 20;
  std::vector<CellCounts> counts(columns.size());
  for (const CsvSlice& slice : slices) {
    TextBlocks blocks(slice.file, slice.header.dialect, slice.begin, slice.end, kSampleBytes);
    while (blocks.next()) {
      sample_block(blocks.text(), slice.header, columns, counts);
      progress();
      if (!to_end || all_seen(counts)) return counts;
    }
  }
  return counts;
}

}  // namespace muster
