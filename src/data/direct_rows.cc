#include "data/direct_rows.h"

#include <algorithm>

namespace muster {
namespace {

// A cache line of a row at a time.
constexpr std::size_t kTogether = 8;

template <std::size_t columns, class T>
void write_columns(const double* const* from, std::size_t rows, std::size_t stride, T* to) {
  for (std::size_t i = 0; i < rows; ++i, to += stride)
    for (std::size_t k = 0; k < columns; ++k) to[k] = static_cast<T>(from[k][i]);
}

template <class T>
void write_rows(const std::vector<const double*>& from, std::size_t rows, T* to) {
  const std::size_t columns = from.size();
  std::size_t column = 0;
  for (; column + kTogether <= columns; column += kTogether)
    write_columns<kTogether>(from.data() + column, rows, columns, to + column);
  for (; column < columns; ++column) write_columns<1>(from.data() + column, rows, columns, to + column);
}

void append_column(const TableBatch& batch, const std::optional<std::size_t>& column, GrowingArray<double>& to) {
  if (column) to.append(batch.columns[*column].numbers);
}

}  // namespace

bool DirectRows::suffice(const Layout& layout, MissingPolicy missing) {
  const bool plain = std::all_of(layout.slots.begin(), layout.slots.end(),
                                 [](const Layout::Slot& slot) { return !slot.text && slot.degree == 1 && !slot.fill; });
  return plain && !layout.sparse && missing != MissingPolicy::drop && layout.class_of_code.empty() && !layout.fold;
}

void DirectRows::add(const TableBatch& batch) {
  const auto rows = static_cast<std::size_t>(batch.rows);
  bool survive = true;
  std::vector<const double*> from;
  for (const Layout::Slot& slot : layout_.slots) {
    const std::vector<double>& numbers = batch.columns[slot.column].numbers;
    survive = survive && values_.may_widen() && survives_float(numbers);
    from.push_back(numbers.data());
  }
  values_.extend(rows * layout_.features, survive, [&](auto* to) { write_rows(from, rows, to); });
  append_column(batch, layout_.target, targets_);
  append_column(batch, layout_.weight, weights_);
  append_column(batch, layout_.offset, offsets_);
  rows_ += rows;
}

Shard DirectRows::take(std::size_t rows) {
  Shard shard;
  if (layout_.target && !layout_.class_of_value.empty())
    for (std::size_t i = 0; i < rows; ++i) targets_.data()[i] = *find_class(layout_.class_of_value, targets_.data()[i]);
  shard.matrix.emplace<DenseMatrix>(DenseMatrix{rows, layout_.features, values_.take(rows * layout_.features)});
  if (layout_.target) shard.targets = targets_.take(rows);
  if (layout_.weight) shard.weights = weights_.take(rows);
  if (layout_.offset) shard.offsets = offsets_.take(rows);
  rows_ -= rows;
  return shard;
}

}  // namespace muster
