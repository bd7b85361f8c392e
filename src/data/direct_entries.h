// LIBSVM rows, from a reader's blocks to a sparse matrix without staging.
#pragma once

#include <cstddef>
#include <cstdint>

#include "data/encoding.h"
#include "data/growing_array.h"
#include "data/libsvm_text.h"
#include "data/shard.h"

namespace muster {

class DirectEntries {
 public:
  // base: where indices start, as far as is known.
  DirectEntries(StorageChoice storage, int base);

  void add(const LibsvmRows& rows);
  std::size_t rows() const { return labels_.size(); }
  double bytes() const;  // of all that is there
  // The first rows; the others stay. Labels that are classes become their places (of rows to predict, not all need be).
  Shard take(const Encoding& encoding, std::size_t rows);

 private:
  std::uint32_t base_;
  GrowingArray<double> labels_;
  GrowingArray<std::uint64_t> row_begin_;
  GrowingArray<std::uint32_t> columns_;  // indices less base_, modulo 2^32
  GrowingNumbers values_;
};

}  // namespace muster
