#include "objective/renumbered_rows.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <variant>
#include <vector>

#include "objective/row_blocks.h"

namespace muster {
namespace {

// Coefficients and a gradient of fewer columns lie in a second-level cache as they are.
constexpr std::size_t kFewColumns = 32 * 1024;
// Of so many rows one tells how frequent columns are.
constexpr std::size_t kSampled = 16;
constexpr std::size_t kEntriesTogether = 256 * 1024;

// Calls visit(entry) for all entries of a matrix, on all threads.
template <class Visit>
void each_entry(const SparseMatrix& matrix, Executor& executor, const Visit& visit) {
  const RowBlocks blocks{matrix.columns.size(), kEntriesTogether};
  executor.run(blocks.count(), [&](std::size_t block, int) {
    const RowRange entries = blocks.range(block);
    for (std::size_t k = entries.begin; k < entries.end; ++k) visit(k);
  });
}

// By column: how many entries the sampled rows have in it.
AlignedVector<std::uint32_t> sampled_entries(const SparseMatrix& matrix) {
  AlignedVector<std::uint32_t> entries(matrix.cols, 0);
  for (std::size_t i = 0; i < matrix.rows; i += kSampled) {
    for (std::size_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k) ++entries[matrix.columns[k]];
  }
  return entries;
}

// By column: whether any row has it.
AlignedVector<unsigned char> columns_present(const SparseMatrix& matrix, Executor& executor) {
  AlignedVector<unsigned char> present(matrix.cols, 0);
  each_entry(matrix, executor, [&](std::size_t k) {
    const std::atomic_ref<unsigned char> seen(present[matrix.columns[k]]);
    if (seen.load(std::memory_order_relaxed) == 0) seen.store(1, std::memory_order_relaxed);
  });
  return present;
}

// Fills numbers and returns how many there are. Columns of which the sample has as many entries keep their order, so
// that vectors by column and vectors by number are for the most part read side by side.
std::size_t number_columns(const SparseMatrix& matrix, Executor& executor, std::span<std::uint32_t> numbers) {
  const AlignedVector<std::uint32_t> entries = sampled_entries(matrix);
  const AlignedVector<unsigned char> present = columns_present(matrix, executor);
  std::vector<std::uint32_t> columns;
  for (std::size_t j = 0; j < matrix.cols; ++j)
    if (entries[j] > 0) columns.push_back(static_cast<std::uint32_t>(j));
  std::stable_sort(columns.begin(), columns.end(), [&](auto a, auto b) { return entries[a] > entries[b]; });
  std::uint32_t next = 0;
  for (const std::uint32_t column : columns) numbers[column] = next++;
  for (std::size_t j = 0; j < matrix.cols; ++j)
    if (entries[j] == 0) numbers[j] = present[j] ? next++ : RenumberedRows::kNone;
  return next;
}

// The elements of an array of a shard, which outlives what is returned.
template <class T>
RowArray<T> see(const RowArray<T>& array) {
  if (array.empty()) return {};
  return RowArray<T>::seen(array, std::shared_ptr<const void>(std::shared_ptr<void>(), array.data()));
}

}  // namespace

std::unique_ptr<RenumberedRows> RenumberedRows::of(const Shard& shard, Executor& executor, RowBudget* budget) {
  const auto* matrix = std::get_if<SparseMatrix>(&shard.matrix);
  if (matrix == nullptr || matrix->cols < kFewColumns || matrix->columns.empty()) return nullptr;
  const double bytes = static_cast<double>(matrix->columns.size() + matrix->cols) * sizeof(std::uint32_t);
  if (budget && !budget->take(bytes)) return nullptr;
  return std::unique_ptr<RenumberedRows>(new RenumberedRows(shard, *matrix, executor, budget, bytes));
}

RenumberedRows::RenumberedRows(const Shard& shard, const SparseMatrix& matrix, Executor& executor, RowBudget* budget,
                               double taken)
    : budget_(budget), taken_(taken), numbers_(matrix.cols), source_(shard_) {
  auto& own = shard_.matrix.emplace<SparseMatrix>();
  own.rows = matrix.rows;
  own.cols = number_columns(matrix, executor, numbers_);
  AlignedVector<std::uint32_t> columns(matrix.columns.size());
  each_entry(matrix, executor, [&](std::size_t k) { columns[k] = numbers_[matrix.columns[k]]; });
  own.row_begin = see(matrix.row_begin);
  own.columns = std::move(columns);
  std::visit([&](const auto& values) { own.values = see(values); }, matrix.values);
  shard_.targets = see(shard.targets);
  shard_.weights = see(shard.weights);
  shard_.offsets = see(shard.offsets);
  shard_.seen_in = shard.seen_in;
}

RenumberedRows::~RenumberedRows() {
  if (budget_) budget_->give_back(taken_);
}

}  // namespace muster
