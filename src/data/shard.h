// The rows one worker holds, in the form the kernels read: a dense row-major matrix or CSR, with targets, weights,
// offsets and folds beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "data/row_array.h"

namespace muster {

// rows × cols values, row-major without padding. float32 storage is exact unless the user asked for it.
struct DenseMatrix {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::variant<RowArray<double>, RowArray<float>> values;
};

// Compressed sparse rows: row i's entries are [row_begin[i], row_begin[i+1]), columns strictly ascending.
struct SparseMatrix {
  std::size_t rows = 0;
  std::size_t cols = 0;
  RowArray<std::uint64_t> row_begin;  // rows + 1
  RowArray<std::uint32_t> columns;
  std::variant<RowArray<double>, RowArray<float>> values;
};

// Feature `feature` is feature `base` to the power `degree`. Its stored values are powers rounded to double; code that
// needs them closer recomputes them from the base.
struct PowerFeature {
  std::size_t feature = 0;
  std::size_t base = 0;
  int degree = 2;
};

class MappedFile;

struct Shard {
  std::variant<DenseMatrix, SparseMatrix> matrix;
  std::vector<PowerFeature> powers;  // ascending in feature; only beside a dense matrix
  RowArray<double>
      targets;  // rows; of classes: their places in the encoding. Empty where the data were read for prediction
  RowArray<double> weights;                             // rows, or empty: every weight is 1
  RowArray<double> offsets;                             // rows, or empty: every offset is 0
  RowArray<double> folds = {};                          // rows, or empty: places in LoadedFrom::folds
  std::shared_ptr<const MappedFile> seen_in = nullptr;  // where the arrays lie, if they are not the shard's own

  std::size_t rows() const {
    return std::visit([](const auto& m) { return m.rows; }, matrix);
  }
  std::size_t cols() const {
    return std::visit([](const auto& m) { return m.cols; }, matrix);
  }
};

// Puts the rows of `more` below those of `into`. Both are of one encoding. Where one is stored as float and the other
// as double, the result is double: no value changes.
void append_rows(Shard& into, Shard more);

// Rows [begin, end) of a shard.
Shard slice_rows(const Shard& shard, std::size_t begin, std::size_t end);

// Leaves the first `rows` rows.
void keep_rows(Shard& shard, std::size_t rows);

// A shard of the same columns and storage with no rows.
Shard without_rows(const Shard& shard);

}  // namespace muster
