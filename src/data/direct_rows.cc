#include "data/direct_rows.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace muster {
namespace {

// A cache line of a row at a time.
constexpr std::size_t kTogether = 8;

template <std::size_t columns>
void write_columns(const double* const* from, std::size_t rows, std::size_t stride, double* to) {
  for (std::size_t i = 0; i < rows; ++i, to += stride)
    for (std::size_t k = 0; k < columns; ++k) to[k] = from[k][i];
}

void append_column(const TableBatch& batch, const std::optional<std::size_t>& column, AlignedVector<double>& to) {
  if (!column) return;
  const std::vector<double>& numbers = batch.columns[*column].numbers;
  to.insert(to.end(), numbers.begin(), numbers.end());
}

// The first `count`; the others stay.
AlignedVector<double> take_first(AlignedVector<double>& all, std::size_t count) {
  AlignedVector<double> rest(all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
  all.resize(count);
  return std::exchange(all, std::move(rest));
}

double* doubles(const std::shared_ptr<std::byte>& buffer) {
  return reinterpret_cast<double*>(buffer.get());
}

// The same numbers as floats, in the place of the first half of them.
const float* narrow(const std::shared_ptr<std::byte>& buffer, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    double wide;
    std::memcpy(&wide, buffer.get() + i * sizeof wide, sizeof wide);
    const auto single = static_cast<float>(wide);
    std::memcpy(buffer.get() + i * sizeof single, &single, sizeof single);
  }
  return reinterpret_cast<const float*>(buffer.get());
}

}  // namespace

bool DirectRows::suffice(const Layout& layout, MissingPolicy missing) {
  const bool plain = std::all_of(layout.slots.begin(), layout.slots.end(),
                                 [](const Layout::Slot& slot) { return !slot.text && slot.degree == 1 && !slot.fill; });
  return plain && !layout.sparse && missing != MissingPolicy::drop && layout.class_of_code.empty() && !layout.fold;
}

void DirectRows::make_room(std::size_t size) {
  if (size <= room_) return;
  const std::shared_ptr<std::byte> before = std::exchange(values_, buffers_.take(size * sizeof(double)));
  room_ = buffers_.size() / sizeof(double);
  if (before) std::copy_n(doubles(before), rows_ * layout_.features, doubles(values_));
}

void DirectRows::add(const TableBatch& batch) {
  const auto rows = static_cast<std::size_t>(batch.rows);
  const std::size_t features = layout_.features;
  make_room((rows_ + rows) * features);
  double* to = doubles(values_) + rows_ * features;
  std::vector<const double*> from;
  for (const Layout::Slot& slot : layout_.slots) {
    const std::vector<double>& numbers = batch.columns[slot.column].numbers;
    if (layout_.storage == StorageChoice::automatic) single_ = single_ && survives_float(numbers);
    from.push_back(numbers.data());
  }
  std::size_t column = 0;
  for (; column + kTogether <= features; column += kTogether)
    write_columns<kTogether>(from.data() + column, rows, features, to + column);
  for (; column < features; ++column) write_columns<1>(from.data() + column, rows, features, to + column);
  append_column(batch, layout_.target, targets_);
  append_column(batch, layout_.weight, weights_);
  append_column(batch, layout_.offset, offsets_);
  rows_ += rows;
}

Shard DirectRows::take(std::size_t rows) {
  Shard shard;
  const std::size_t taken = rows * layout_.features, left = rows_ * layout_.features - taken;
  const std::shared_ptr<std::byte> values = std::exchange(values_, nullptr);
  room_ = 0;
  if (left > 0) {
    make_room(left);
    std::copy_n(doubles(values) + taken, left, doubles(values_));
  }
  auto& matrix = shard.matrix.emplace<DenseMatrix>(DenseMatrix{rows, layout_.features, {}});
  const bool single =
      layout_.storage == StorageChoice::float32 || (layout_.storage == StorageChoice::automatic && single_);
  if (single) {
    matrix.values = RowArray<float>::seen({narrow(values, taken), taken}, values);
  } else {
    matrix.values = RowArray<double>::seen({doubles(values), taken}, values);
  }
  shard.targets = take_first(targets_, layout_.target ? rows : 0);
  shard.weights = take_first(weights_, layout_.weight ? rows : 0);
  shard.offsets = take_first(offsets_, layout_.offset ? rows : 0);
  if (!layout_.class_of_value.empty())
    for (double& y : shard.targets) y = *find_class(layout_.class_of_value, y);
  rows_ -= rows;
  single_ = rows_ == 0 || single_;  // the rest may be taken for wider than it is
  return shard;
}

}  // namespace muster
