// Rows of numbers alone, from the batches of a reader to a dense matrix without staging: for readers who know the
// encoding.
#pragma once

#include <cstddef>

#include "data/encode.h"
#include "data/growing_array.h"
#include "data/shard.h"
#include "data/table_reader.h"
#include "muster/options.h"

namespace muster {

class DirectRows {
 public:
  // Where nothing has to be encoded, filled in, formed or left out. layout must outlive this.
  static bool suffice(const Layout& layout, MissingPolicy missing);
  explicit DirectRows(const Layout& layout) : layout_(layout), values_(layout.storage) {}

  // All rows of a batch that is checked, its columns those of the plan.
  void add(const TableBatch& batch);
  std::size_t rows() const { return rows_; }
  // The first rows; the others stay. As build_shard() makes them.
  Shard take(std::size_t rows);

 private:
  const Layout& layout_;
  std::size_t rows_ = 0;
  GrowingNumbers values_;  // row by row
  GrowingArray<double> targets_, weights_, offsets_;
};

}  // namespace muster
