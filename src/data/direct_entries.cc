#include "data/direct_entries.h"

#include <algorithm>

#include "data/encode.h"

namespace muster {

DirectEntries::DirectEntries(StorageChoice storage, int base)
    : base_(static_cast<std::uint32_t>(base)), values_(storage) {
  *row_begin_.extend(1) = 0;
}

void DirectEntries::add(const LibsvmRows& rows) {
  const std::uint64_t before = columns_.size();
  labels_.append(rows.labels);
  std::transform(rows.row_begin.begin() + 1, rows.row_begin.end(), row_begin_.extend(rows.rows()),
                 [&](std::uint64_t at) { return before + at; });
  std::transform(rows.indices.begin(), rows.indices.end(), columns_.extend(rows.indices.size()),
                 [&](std::uint32_t index) { return index - base_; });
  values_.extend(rows.values.size(), values_.may_widen() && survives_float(rows.values), [&](auto* to) {
    for (const double x : rows.values) *to++ = static_cast<std::remove_pointer_t<decltype(to)>>(x);
  });
}

double DirectEntries::bytes() const {
  return static_cast<double>(labels_.size() * (sizeof(double) + sizeof(std::uint64_t)) +
                             columns_.size() * (sizeof(std::uint32_t) + values_.width()));
}

Shard DirectEntries::take(const Encoding& encoding, std::size_t rows) {
  Shard shard;
  SparseMatrix& matrix = shard.matrix.emplace<SparseMatrix>();
  matrix.rows = rows;
  matrix.cols = encoding.feature_count();
  const std::size_t entries = row_begin_.data()[rows];
  // Where the guess was wrong.
  const std::uint32_t more = base_ - static_cast<std::uint32_t>(encoding.libsvm_base);
  for (std::size_t k = 0; more != 0 && k < entries; ++k) columns_.data()[k] += more;
  const ClassesByValue classes = classes_by_value(encoding);
  for (std::size_t i = 0; !classes.empty() && i < rows; ++i) {
    const double* place = find_class(classes, labels_.data()[i]);
    if (place != nullptr) labels_.data()[i] = *place;
  }
  matrix.row_begin = row_begin_.take(rows + 1, rows);
  for (std::size_t i = 0; i < row_begin_.size(); ++i) row_begin_.data()[i] -= entries;
  matrix.columns = columns_.take(entries);
  matrix.values = values_.take(entries);
  shard.targets = labels_.take(rows);
  return shard;
}

}  // namespace muster
