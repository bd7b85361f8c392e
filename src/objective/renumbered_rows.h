// Sparse rows in memory with their columns numbered anew, for passes that read a coefficient, or add to a sum, for
// every entry: the columns with most entries come first, and those without any have no number.
//
// Where columns are as frequent as words are, some thousands of a million make up most entries. Numbered as they come,
// each lies on a line of cache of its own; numbered by frequency they share lines, and those in use fit in a cache.
// Entries stay where they are in their row, and rows in their order, so margins and sums have the bits they had.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/aligned.h"
#include "base/executor.h"
#include "data/row_budget.h"
#include "data/row_source.h"
#include "data/shard.h"

namespace muster {

class RenumberedRows {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  // Those of a shard, which must outlive it unchanged and whose arrays but the columns are seen where they are. Null
  // where nothing is to be gained: of dense rows, of fewer columns than a cache holds coefficients, or where the budget
  // has no room for the columns again; null: no limit.
  static std::unique_ptr<RenumberedRows> of(const Shard& shard, Executor& executor, RowBudget* budget);
  ~RenumberedRows();
  RenumberedRows(const RenumberedRows&) = delete;
  RenumberedRows& operator=(const RenumberedRows&) = delete;

  // The rows, columns() being how many numbers there are; a row's entries are not ascending.
  RowSource& source() { return source_; }
  // By column: its number, or kNone.
  std::span<const std::uint32_t> numbers() const { return numbers_; }

 private:
  RenumberedRows(const Shard& shard, const SparseMatrix& matrix, Executor& executor, RowBudget* budget, double taken);

  RowBudget* budget_;
  double taken_;
  AlignedVector<std::uint32_t> numbers_;
  Shard shard_;
  HeldRows source_;
};

}  // namespace muster
