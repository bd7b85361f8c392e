#include "data/column_blocks.h"

#include <gtest/gtest.h>

#include <string>

namespace muster {
namespace {

Encoding encoding_of(const std::string& kinds) {  // n: a column, p: a power of the one before
  Encoding encoding;
  for (const char kind : kinds) {
    Feature feature;
    feature.kind = kind == 'p' ? Feature::Kind::power : Feature::Kind::numeric;
    encoding.features.push_back(feature);
  }
  return encoding;
}

TEST(ColumnBlocks, AreEqualSharesButKeepPowersWithTheirBase) {
  EXPECT_EQ(column_blocks(encoding_of("nnnnnn"), 3), (std::vector<std::size_t>{0, 2, 4, 6}));
  EXPECT_EQ(column_blocks(encoding_of("nnnnnnn"), 2), (std::vector<std::size_t>{0, 3, 7}));
  EXPECT_EQ(column_blocks(encoding_of("nn"), 4), (std::vector<std::size_t>{0, 0, 1, 1, 2}));
  EXPECT_EQ(column_blocks(encoding_of("nnpppn"), 3), (std::vector<std::size_t>{0, 5, 5, 6}));
  EXPECT_EQ(column_blocks(encoding_of("npppp"), 2), (std::vector<std::size_t>{0, 5, 5}));
}

// Two rows: (1 2 3 4), (0 5 0 6).
Shard small(bool sparse) {
  Shard shard;
  if (sparse) {
    SparseMatrix matrix{2, 4, {0, 4, 6}, {0, 1, 2, 3, 1, 3}, AlignedVector<float>{1, 2, 3, 4, 5, 6}};
    shard.matrix = matrix;
  } else {
    shard.matrix = DenseMatrix{2, 4, AlignedVector<double>{1, 2, 3, 4, 0, 5, 0, 6}};
    shard.powers = {{2, 1, 2}};
  }
  shard.targets = {7, 8};
  shard.offsets = {0.5, 0.25};
  shard.folds = {1, 0};
  return shard;
}

TEST(ColumnBlocks, OfAShardHaveItsRowsAndWhatStandsBesideThem) {
  const Shard dense = columns_between(small(false), 1, 3);
  const auto& d = std::get<DenseMatrix>(dense.matrix);
  EXPECT_EQ(d.rows, 2U);
  EXPECT_EQ(d.cols, 2U);
  EXPECT_EQ(std::get<0>(d.values), (AlignedVector<double>{2, 3, 5, 0}));
  ASSERT_EQ(dense.powers.size(), 1U);
  EXPECT_EQ(dense.powers[0].feature, 1U);
  EXPECT_EQ(dense.powers[0].base, 0U);
  EXPECT_EQ(dense.targets, small(false).targets);
  const Shard sparse = columns_between(small(true), 1, 3);
  const auto& s = std::get<SparseMatrix>(sparse.matrix);
  EXPECT_EQ(s.cols, 2U);
  EXPECT_EQ(s.row_begin, (AlignedVector<std::uint64_t>{0, 2, 3}));
  EXPECT_EQ(s.columns, (AlignedVector<std::uint32_t>{0, 1, 0}));
  EXPECT_EQ(std::get<1>(s.values), (AlignedVector<float>{2, 3, 5}));
  EXPECT_EQ(sparse.offsets, small(true).offsets);
  EXPECT_EQ(sparse.folds, small(true).folds);
  EXPECT_EQ(columns_between(small(true), 4, 4).cols(), 0U);
}

TEST(ColumnBlocks, TogetherAreTheShardTheyWereCutFrom) {
  for (const bool sparse : {false, true}) {
    const Shard shard = small(sparse);
    std::vector<Shard> parts;
    const std::size_t begins[] = {0, 1, 1, 3, 4};
    for (std::size_t k = 0; k < 4; ++k) parts.push_back(columns_between(shard, begins[k], begins[k + 1]));
    parts[0].targets = parts[0].offsets = {};
    const Shard whole = columns_together(parts, 2);
    EXPECT_EQ(to_bytes(whole).size(), to_bytes(shard).size());
    EXPECT_EQ(whole.targets, shard.targets);
    EXPECT_EQ(whole.offsets, shard.offsets);
    ASSERT_EQ(whole.powers.size(), shard.powers.size());
    if (!sparse) {
      EXPECT_EQ(whole.powers[0].feature, 2U);
      EXPECT_EQ(whole.powers[0].base, 1U);
      EXPECT_EQ(std::get<DenseMatrix>(whole.matrix).values, std::get<DenseMatrix>(shard.matrix).values);
      continue;
    }
    const auto &got = std::get<SparseMatrix>(whole.matrix), &wanted = std::get<SparseMatrix>(shard.matrix);
    EXPECT_EQ(got.row_begin, wanted.row_begin);
    EXPECT_EQ(got.columns, wanted.columns);
    EXPECT_EQ(got.values, wanted.values);
  }
}

TEST(ColumnBlocks, TogetherAreDoublesWhereAnyIs) {
  const Shard shard = small(true);
  std::vector<Shard> parts{columns_between(shard, 0, 2), columns_between(shard, 2, 4)};
  auto& matrix = std::get<SparseMatrix>(parts[1].matrix);
  matrix.values = AlignedVector<double>{3, 4, 0.1};
  const Shard whole = columns_together(parts, 0);
  EXPECT_EQ(std::get<0>(std::get<SparseMatrix>(whole.matrix).values), (AlignedVector<double>{1, 2, 3, 4, 5, 0.1}));
}

TEST(ColumnBlocks, BytesGiveTheShardBack) {
  for (const bool sparse : {false, true}) {
    for (const std::size_t end : {0, 3, 4}) {
      Shard shard = columns_between(small(sparse), sparse ? 0 : end == 3 ? 1 : end, end);
      const Shard back = shard_from_bytes(to_bytes(shard));
      EXPECT_EQ(back.rows(), shard.rows());
      EXPECT_EQ(back.cols(), shard.cols());
      EXPECT_EQ(back.targets, shard.targets);
      EXPECT_EQ(back.weights, shard.weights);
      EXPECT_EQ(back.offsets, shard.offsets);
      EXPECT_EQ(back.folds, shard.folds);
      EXPECT_EQ(back.powers.size(), shard.powers.size());
      if (const auto* matrix = std::get_if<SparseMatrix>(&shard.matrix)) {
        const auto& got = std::get<SparseMatrix>(back.matrix);
        EXPECT_EQ(got.row_begin, matrix->row_begin);
        EXPECT_EQ(got.columns, matrix->columns);
        EXPECT_EQ(got.values, matrix->values);
      } else {
        EXPECT_EQ(std::get<DenseMatrix>(back.matrix).values, std::get<DenseMatrix>(shard.matrix).values);
      }
    }
  }
}

}  // namespace
}  // namespace muster
