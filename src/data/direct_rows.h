// Rows of numbers alone, from the batches of a reader to a dense matrix without staging: for readers who know the
// encoding.
#pragma once

#include <cstddef>
#include <memory>

#include "data/encode.h"
#include "data/pages.h"
#include "data/shard.h"
#include "data/table_reader.h"
#include "muster/options.h"

namespace muster {

class DirectRows {
 public:
  // Where nothing has to be encoded, filled in, formed or left out. layout must outlive this.
  static bool suffice(const Layout& layout, MissingPolicy missing);
  explicit DirectRows(const Layout& layout) : layout_(layout) {}

  // All rows of a batch that is checked, its columns those of the plan.
  void add(const TableBatch& batch);
  std::size_t rows() const { return rows_; }
  // The first rows; the others stay. As build_shard() makes them.
  Shard take(std::size_t rows);

 private:
  const Layout& layout_;
  std::size_t rows_ = 0;
  bool single_ = true;  // every value would survive as float
  void make_room(std::size_t size);

  BufferPool buffers_;
  std::shared_ptr<std::byte> values_;  // doubles, row by row
  std::size_t room_ = 0;               // for so many
  AlignedVector<double> targets_, weights_, offsets_;
};

}  // namespace muster
