// Shards compared bit by bit, and read as streams.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "data/streamed_rows.h"
#include "load_helpers.h"

namespace muster {

template <class T>
bool same_bits(const RowArray<T>& a, const RowArray<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

inline bool same_values(const DenseMatrix& a, const DenseMatrix& b) {
  return a.values.index() == b.values.index() &&
         std::visit([&](const auto& v) { return same_bits(v, std::get<std::decay_t<decltype(v)>>(b.values)); },
                    a.values);
}

inline bool same_values(const SparseMatrix& a, const SparseMatrix& b) {
  return a.values.index() == b.values.index() && same_bits(a.row_begin, b.row_begin) &&
         same_bits(a.columns, b.columns) &&
         std::visit([&](const auto& v) { return same_bits(v, std::get<std::decay_t<decltype(v)>>(b.values)); },
                    a.values);
}

inline void expect_same(const Shard& a, const Shard& b) {
  ASSERT_EQ(a.matrix.index(), b.matrix.index());
  EXPECT_EQ(a.rows(), b.rows());
  EXPECT_EQ(a.cols(), b.cols());
  EXPECT_TRUE(std::visit(
      [&](const auto& matrix) { return same_values(matrix, std::get<std::decay_t<decltype(matrix)>>(b.matrix)); },
      a.matrix));
  EXPECT_TRUE(same_bits(a.targets, b.targets));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.offsets, b.offsets));
  EXPECT_TRUE(same_bits(a.folds, b.folds));
  ASSERT_EQ(a.powers.size(), b.powers.size());
  for (std::size_t i = 0; i < a.powers.size(); ++i) {
    EXPECT_EQ(a.powers[i].feature, b.powers[i].feature);
    EXPECT_EQ(a.powers[i].base, b.powers[i].base);
    EXPECT_EQ(a.powers[i].degree, b.powers[i].degree);
  }
}

inline bool is_single(const Shard& shard) {
  return std::visit([](const auto& m) { return m.values.index() == 1; }, shard.matrix);
}

inline std::vector<Dataset> datasets_on(int n, const LoadRequest& request) {
  return on_workers<Dataset>(n, [&](Peers& peers) { return load(request, peers); });
}

// The windows of a pass, put together.
inline Shard windows_of(RowSource& rows, std::size_t align) {
  Shard all = slice_rows(rows.head(), 0, 0);
  const std::unique_ptr<RowPass> pass = rows.begin(align);
  bool last = false;
  while (const Shard* window = pass->next()) {
    EXPECT_FALSE(last);
    last = window->rows() % align != 0;
    append_rows(all, *window);
  }
  return all;
}

inline void expect_shape(const RowShape& a, const RowShape& b) {
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.cols, b.cols);
  EXPECT_EQ(a.entries, b.entries);
  EXPECT_EQ(a.sparse, b.sparse);
  EXPECT_EQ(a.value_bytes, b.value_bytes);
  EXPECT_EQ(a.beside, b.beside);
  EXPECT_EQ(a.weight, b.weight);
}

}  // namespace muster
