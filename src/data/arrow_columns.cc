#include "data/arrow_columns.h"

#include <arrow/array.h>
#include <arrow/table.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace muster {
namespace {

void copy_numbers(const arrow::ChunkedArray& column, std::vector<double>& numbers) {
  numbers.clear();
  numbers.reserve(static_cast<std::size_t>(column.length()));
  for (const auto& chunk : column.chunks()) {
    const auto& cells = static_cast<const arrow::DoubleArray&>(*chunk);
    const std::size_t begin = numbers.size();
    numbers.insert(numbers.end(), cells.raw_values(), cells.raw_values() + cells.length());
    if (cells.null_count() == 0) continue;
    for (std::int64_t i = 0; i < cells.length(); ++i) {
      if (cells.IsNull(i)) numbers[begin + static_cast<std::size_t>(i)] = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

void copy_codes(const arrow::ChunkedArray& column, TableBatch::Column& into) {
  into.codes.clear();
  into.levels.clear();
  for (const auto& chunk : column.chunks()) {
    const auto& cells = static_cast<const arrow::DictionaryArray&>(*chunk);
    const auto& levels = static_cast<const arrow::StringArray&>(*cells.dictionary());
    const auto& indices = static_cast<const arrow::Int32Array&>(*cells.indices());
    const auto before = static_cast<std::int32_t>(into.levels.size());
    for (std::int64_t i = 0; i < levels.length(); ++i) into.levels.emplace_back(levels.GetView(i));
    for (std::int64_t i = 0; i < cells.length(); ++i) {
      const bool missing = indices.IsNull(i) || levels.IsNull(indices.Value(i));
      into.codes.push_back(missing ? -1 : before + indices.Value(i));
    }
  }
}

}  // namespace

void copy_columns(const arrow::Table& table, const std::vector<WantedColumn>& wanted, TableBatch& batch) {
  MUSTER_CHECK(static_cast<std::size_t>(table.num_columns()) == wanted.size(), "the reader gave other columns");
  batch.rows = table.num_rows();
  batch.columns.resize(wanted.size());
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    const arrow::ChunkedArray& column = *table.column(static_cast<int>(c));
    if (wanted[c].text) {
      copy_codes(column, batch.columns[c]);
    } else {
      copy_numbers(column, batch.columns[c].numbers);
    }
  }
}

}  // namespace muster
