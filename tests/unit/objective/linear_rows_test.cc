#include "objective/linear_rows.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;
using testing::offset_at;
using testing::Shape;
using testing::value_at;
using testing::weight_at;
using Quad = __float128;
using Precision = Statistics::Precision;

Statistics statistics_of(const Shard& shard, Precision precision, const std::vector<double>& centre,
                         InstructionSet set = best_instruction_set(), int threads = 1) {
  Executor executor(threads);
  LinearRows rows(shard, executor, set);
  Statistics statistics;
  statistics.columns = shard.cols();
  statistics.precision = precision;
  statistics.centre = centre;
  rows.accumulate(statistics);
  return statistics;
}

std::vector<double> centres(std::size_t cols, double offset = 0) {
  std::vector<double> centre(cols + 1);
  for (std::size_t j = 0; j <= cols; ++j) {
    centre[j] = 0.1 * static_cast<double>(j % 4) + (j % 3 == 0 && j < cols ? offset : 0.0);
  }
  return centre;
}

// Entry k of the statistics, exactly.
Quad entry(const Statistics& statistics, std::size_t k) {
  if (statistics.precision == Precision::float64) return statistics.sums[k];
  return static_cast<Quad>(statistics.sums[2 * k]) + statistics.sums[2 * k + 1];
}

struct Truth {
  std::vector<Quad> sums, sizes;
  Truth(const Shard& dense, const std::vector<double>& centre) {
    sums = testing::naive_statistics(dense, centre, sizes);
  }
};

// Largest error of an entry relative to the sum of its terms' sizes.
double error_of(const Truth& truth, const Statistics& statistics) {
  const auto& [expected, sizes] = truth;
  Quad worst = 0;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const Quad difference = entry(statistics, k) - expected[k];
    const Quad size = difference < 0 ? -difference : difference;
    if (sizes[k] > 0 && size / sizes[k] > worst) worst = size / sizes[k];
    if (sizes[k] == 0 && size > 0) worst = 1;
  }
  return static_cast<double>(worst);
}

const Shape kShapes[] = {{.rows = 5000, .cols = 7},
                         {.rows = 3001, .cols = 26, .weights = true, .offsets = true},
                         {.rows = 700, .cols = 90, .density = 0.03, .weights = true},
                         {.rows = 3, .cols = 5},
                         {.rows = 40, .cols = 1, .offsets = true}};

TEST(Statistics, DoubleDoubleIsExactToTwentyNineDigits) {
  for (const Shape& shape : kShapes) {
    const Shard dense = dense_shard(shape);
    const Truth truth(dense, centres(shape.cols));
    for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense), as_sparse(dense, true)}) {
      for (InstructionSet set : available_instruction_sets()) {
        EXPECT_LT(error_of(truth, statistics_of(shard, Precision::double_double, centres(shape.cols), set)), 1e-29);
      }
    }
  }
}

TEST(Statistics, Float64IsExactToRounding) {
  for (const Shape& shape : kShapes) {
    const Shard dense = dense_shard(shape);
    const Truth truth(dense, centres(shape.cols));
    for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense), as_sparse(dense, true)}) {
      for (InstructionSet set : available_instruction_sets()) {
        EXPECT_LT(error_of(truth, statistics_of(shard, Precision::float64, centres(shape.cols), set)), 3e-15);
      }
    }
  }
}

TEST(Statistics, HugeOffsetsLoseNothing) {
  const Shard dense = dense_shard({.rows = 2000, .cols = 9, .offset = 1e10, .weights = true});
  const std::vector<double> centre = centres(9, 1e10);
  const Truth truth(dense, centre);
  EXPECT_LT(error_of(truth, statistics_of(dense, Precision::double_double, centre)), 1e-29);
  EXPECT_LT(error_of(truth, statistics_of(as_sparse(dense), Precision::double_double, centre)), 1e-29);
  EXPECT_LT(error_of(truth, statistics_of(dense, Precision::float64, centre)), 1e-14);
  EXPECT_LT(error_of(truth, statistics_of(as_sparse(dense), Precision::float64, centre)), 1e-14);
}

TEST(Statistics, PowersAreRecomputedFromTheirBase) {
  Shard shard = dense_shard({.rows = 500, .cols = 12});
  auto& values = std::get<0>(std::get<DenseMatrix>(shard.matrix).values);
  for (std::size_t i = 0; i < 500; ++i) {
    for (int degree = 2; degree <= 10; ++degree) {
      values[i * 12 + static_cast<std::size_t>(degree) + 1] = std::pow(values[i * 12 + 2], degree);
    }
  }
  for (int degree = 2; degree <= 10; ++degree) {
    shard.powers.push_back({static_cast<std::size_t>(degree) + 1, 2, degree});
  }
  const Truth truth(shard, centres(12));
  EXPECT_LT(error_of(truth, statistics_of(shard, Precision::double_double, centres(12))), 1e-29);
  Shard rounded = shard;
  rounded.powers.clear();
  EXPECT_GT(error_of(truth, statistics_of(rounded, Precision::double_double, centres(12))), 1e-20);
}

TEST(Statistics, SameBitsForAnyThreadsAndStorage) {
  const Shard dense = dense_shard({.rows = 20000, .cols = 17, .density = 0.5, .weights = true, .offsets = true});
  const Shard thin = as_sparse(dense_shard({.rows = 20000, .cols = 40, .density = 0.05, .weights = true}));
  const Shard narrow = as_float32(dense), sparse = as_sparse(dense), narrow_sparse = as_sparse(dense, true);
  for (Precision precision : {Precision::float64, Precision::double_double}) {
    const std::vector<double> centre = centres(17), thin_centre = centres(40);
    const auto one = statistics_of(dense, precision, centre).sums;
    const auto one_sparse = statistics_of(sparse, precision, centre).sums;
    const auto one_thin = statistics_of(thin, precision, thin_centre).sums;
    for (int threads : {1, 2, 3, 4, 7}) {
      const InstructionSet set = best_instruction_set();
      EXPECT_EQ(statistics_of(dense, precision, centre, set, threads).sums, one);
      EXPECT_EQ(statistics_of(narrow, precision, centre, set, threads).sums, one);
      EXPECT_EQ(statistics_of(sparse, precision, centre, set, threads).sums, one_sparse);
      EXPECT_EQ(statistics_of(narrow_sparse, precision, centre, set, threads).sums, one_sparse);
      EXPECT_EQ(statistics_of(thin, precision, thin_centre, set, threads).sums, one_thin);
    }
  }
}

// Ranks that are threads sum at the same time, each its own rows. A library that shared buffers between calls mixed
// them in a few of a thousand tries, hence the many.
TEST(Statistics, RanksOfOneProcessDoNotDisturbEachOther) {
  constexpr int kRanks = 2, kTries = 4000;
  std::vector<int> wrong(kRanks);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.emplace_back([&wrong, rank] {
      const Shard shard = dense_shard({.rows = 1355, .cols = 5, .seed = static_cast<std::uint64_t>(rank) + 1});
      const auto alone = statistics_of(shard, Precision::double_double, centres(5)).sums;
      for (int i = 0; i < kTries; ++i) {
        const auto sums = statistics_of(shard, Precision::float64, centres(5)).sums;
        bool right = true;
        for (std::size_t k = 0; k < sums.size(); ++k) right = right && std::abs(sums[k] - alone[2 * k]) < 1e-6;
        wrong[static_cast<std::size_t>(rank)] += !right;
      }
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(wrong, std::vector<int>(kRanks, 0));
}

// A row of weight 2 counts as two rows.
TEST(Statistics, WeightsAreReplication) {
  Shard shard = dense_shard({.rows = 100, .cols = 6, .density = 0.5});
  Shard twice = dense_shard({.rows = 0, .cols = 6});
  auto& to = std::get<DenseMatrix>(twice.matrix);
  auto& values = std::get<0>(to.values);
  shard.weights.resize(100);
  for (std::size_t i = 0; i < 100; ++i) {
    shard.weights[i] = static_cast<double>(i % 3);
    for (std::size_t k = 0; k < i % 3; ++k, ++to.rows) {
      for (std::size_t j = 0; j < 6; ++j) values.push_back(value_at(shard, i, j));
      twice.targets.push_back(shard.targets[i]);
    }
  }
  for (Precision precision : {Precision::float64, Precision::double_double}) {
    for (bool sparse : {false, true}) {
      const auto weighted = statistics_of(sparse ? as_sparse(shard) : shard, precision, centres(6));
      const auto replicated = statistics_of(sparse ? as_sparse(twice) : twice, precision, centres(6));
      for (std::size_t k = 0; k < weighted.sums.size(); ++k) {
        EXPECT_NEAR(weighted.sums[k], replicated.sums[k], 1e-13 * (1 + std::fabs(replicated.sums[k])));
      }
      EXPECT_EQ(weighted.sums[0], 99);
    }
  }
}

TEST(Statistics, NothingToReadIsZero) {
  for (std::size_t cols : {0, 4}) {
    const Shard empty = dense_shard({.rows = 0, .cols = cols});
    for (Precision precision : {Precision::float64, Precision::double_double}) {
      for (const Shard& shard : {empty, as_sparse(empty)}) {
        const Statistics statistics = statistics_of(shard, precision, centres(cols));
        const std::size_t doubles = precision == Precision::float64 ? 1 : 2;
        EXPECT_EQ(statistics.sums, std::vector<double>(doubles * statistics.entries(), 0.0));
      }
    }
  }
  const Shard targets_only = dense_shard({.rows = 30, .cols = 0, .weights = true});
  const Truth truth(targets_only, centres(0));
  EXPECT_LT(error_of(truth, statistics_of(targets_only, Precision::double_double, centres(0))), 1e-29);
  EXPECT_LT(error_of(truth, statistics_of(targets_only, Precision::float64, centres(0))), 1e-14);
}

// Around 0 sparse rows need not count what they lack.
TEST(LinearRows, CentredSumsAndSquares) {
  for (const Shape& shape : kShapes) {
    const Shard dense = dense_shard(shape);
    for (const bool around_zero : {false, true}) {
      std::vector<double> centre = centres(shape.cols);
      if (around_zero) std::fill(centre.begin(), centre.end() - 1, 0.0);
      std::vector<Quad> sums(shape.cols + 2, 0), squares(shape.cols + 2, 0), sizes(shape.cols + 2, 0);
      for (std::size_t i = 0; i < shape.rows; ++i) {
        for (std::size_t j = 0; j < shape.cols + 2; ++j) {
          const Quad x = j == 0            ? Quad(1)
                         : j <= shape.cols ? static_cast<Quad>(value_at(dense, i, j - 1)) - centre[j - 1]
                                           : static_cast<Quad>(dense.targets[i]) - offset_at(dense, i) - centre[j - 1];
          const Quad s = weight_at(dense, i);
          sums[j] += s * x;
          squares[j] += s * x * x;
          sizes[j] += s * (x < 0 ? -x : x);
        }
      }
      for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense), as_sparse(dense, true)}) {
        for (InstructionSet set : available_instruction_sets()) {
          Executor executor(3);
          LinearRows rows(shard, executor, set);
          std::vector<double> got(shape.cols + 2), got_squares(shape.cols + 2);
          rows.centred_sums(centre, got);
          rows.centred_squares(centre, got_squares);
          for (std::size_t j = 0; j < got.size(); ++j) {
            EXPECT_NEAR(got[j], static_cast<double>(sums[j]), 1e-13 * static_cast<double>(sizes[j]));
            EXPECT_NEAR(got_squares[j], static_cast<double>(squares[j]), 1e-13 * static_cast<double>(squares[j]));
          }
        }
      }
    }
  }
}

// A column that is constant has exactly no square about its value, however large.
TEST(LinearRows, ConstantColumnsHaveNoVariance) {
  Shard shard;
  shard.matrix = DenseMatrix{1000, 1, AlignedVector<double>(1000, 1e10 + 0.1)};
  shard.targets = AlignedVector<double>(1000, 0.3);
  Executor executor(1);
  for (const Shard& stored : {shard, as_sparse(shard)}) {
    LinearRows rows(stored, executor, best_instruction_set());
    std::vector<double> squares(3);
    rows.centred_squares(std::vector<double>{1e10 + 0.1, 0.3}, squares);
    EXPECT_EQ(squares, (std::vector<double>{1000, 0, 0}));
  }
}

TEST(LinearRows, RangesByClassCountZerosButNotRowsWithoutWeight) {
  const double infinity = std::numeric_limits<double>::infinity();
  Shard shard;
  shard.matrix = DenseMatrix{4, 2, AlignedVector<double>{3, 0, 5, -1, -9, 2, 7, 1e6}};
  shard.targets = {0, 0, 1, 1};
  shard.weights = {1, 1, 2, 0};
  Executor executor(2);
  for (const Shard& stored : {shard, as_float32(shard), as_sparse(shard), as_sparse(shard, true)}) {
    for (InstructionSet set : available_instruction_sets()) {
      LinearRows rows(stored, executor, set);
      std::vector<double> ranges(8);
      rows.ranges_by_class(2, ranges);
      EXPECT_EQ(ranges, (std::vector<double>{3, -1, -5, 0, -9, 2, 9, -2}));
    }
  }
  shard.targets = {1, 1, 1, 1};
  LinearRows rows(shard, executor, best_instruction_set());
  std::vector<double> ranges(8);
  rows.ranges_by_class(2, ranges);
  EXPECT_EQ(ranges, (std::vector<double>{infinity, infinity, infinity, infinity, -9, -1, -5, -2}));
}

}  // namespace
}  // namespace muster
