// Kernels of sparse rows of one margin: plain sums in long double, and the bits of the scalar twin on every set. Rows
// have 0 to 40 entries, so that every lane and what is left over is met, both storages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "kernels/kernel_table.h"

namespace muster {
namespace {

constexpr std::size_t kColumns = 211;

template <class T>
struct SomeRows {
  std::vector<std::uint64_t> row_begin{0};
  std::vector<std::uint32_t> columns;
  std::vector<T> values;

  // Row i has i entries, of columns in no order. Values have few bits.
  explicit SomeRows(std::size_t rows) {
    std::mt19937_64 random(1);
    std::vector<std::uint32_t> all(kColumns);
    for (std::uint32_t j = 0; j < kColumns; ++j) all[j] = j;
    for (std::size_t i = 0; i < rows; ++i) {
      std::shuffle(all.begin(), all.end(), random);
      columns.insert(columns.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i));
      row_begin.push_back(columns.size());
    }
    std::normal_distribution<double> normal;
    for (std::size_t k = 0; k < columns.size(); ++k)
      values.push_back(static_cast<T>(std::round(normal(random) * 4096) / 4096));
  }
  SparseRows<T> rows() const {
    return {row_begin.data(), columns.data(), values.data(), row_begin.size() - 1, kColumns};
  }
};

std::vector<double> numbers(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> all(count);
  for (double& x : all) x = normal(random);
  return all;
}

class RowsOfOneMargin : public ::testing::TestWithParam<InstructionSet> {
 protected:
  const KernelTable& table = kernel_table(GetParam());
  const KernelTable& twin = kernel_table(InstructionSet::scalar);

  template <class T>
  void expect_halves() const {
    const SomeRows<T> some(41);
    const SparseRows<T> rows = some.rows();
    const std::vector<double> u = numbers(kColumns, 2), factors = numbers(rows.rows, 3);
    std::vector<double> margins(rows.rows + 1, 0.25), sums(kColumns, 0.5), of_twin(rows.rows + 1, 0.25),
        twin_sums = sums;
    table.sparse<T>().margins(rows, u.data(), margins.data());
    table.sparse<T>().add_multiples(rows, factors.data(), sums.data());
    std::vector<long double> expected(kColumns, 0.5L);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      long double margin = 0;
      for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
        margin += static_cast<long double>(u[rows.columns[k]]) * rows.values[k];
        expected[rows.columns[k]] += static_cast<long double>(factors[i]) * rows.values[k];
      }
      EXPECT_NEAR(margins[i], static_cast<double>(margin), 1e-13) << i;
    }
    for (std::size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(sums[j], static_cast<double>(expected[j]), 1e-13) << j;
    EXPECT_EQ(margins[rows.rows], 0.25) << "written past the end";
    twin.sparse<T>().margins(rows, u.data(), of_twin.data());
    twin.sparse<T>().add_multiples(rows, factors.data(), twin_sums.data());
    EXPECT_EQ(margins, of_twin);
    EXPECT_EQ(sums, twin_sums);
  }

  // Coefficients by pairs of columns of opposite sign, so that what is left is small beside the terms.
  template <class T>
  void expect_twice_the_precision() const {
    const SomeRows<T> some(41);
    const SparseRows<T> rows = some.rows();
    std::vector<double> w = numbers(kColumns, 4);
    for (double& x : w) x *= 1e8;
    std::vector<double> pairs(2 * kColumns, 0.0), twin_pairs = pairs;
    std::vector<long double> expected(kColumns, 0.0L), sizes(kColumns, 0.0L);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const DoubleDouble product = table.sparse<T>().dot(rows, i, w.data());
      const DoubleDouble of_twin = twin.sparse<T>().dot(rows, i, w.data());
      EXPECT_EQ(product.high, of_twin.high);
      EXPECT_EQ(product.low, of_twin.low);
      const DoubleDouble factor(i % 2 == 0 ? 1e8 + 0.1 : -1e8, 1e-10 * static_cast<double>(i));
      table.sparse<T>().add_multiple(factor, rows, i, pairs.data());
      twin.sparse<T>().add_multiple(factor, rows, i, twin_pairs.data());
      long double margin = 0, size = 0;
      for (std::size_t k = rows.row_begin[i]; k < rows.row_begin[i + 1]; ++k) {
        const long double x = rows.values[k];
        margin += w[rows.columns[k]] * x;
        size += std::abs(w[rows.columns[k]] * x);
        expected[rows.columns[k]] += (static_cast<long double>(factor.high) + factor.low) * x;
        sizes[rows.columns[k]] += std::abs(factor.high * x);
      }
      const long double got = static_cast<long double>(product.high) + product.low;
      EXPECT_LE(std::abs(got - margin), 1e-18L * size) << i;  // long double has 64 bits
    }
    for (std::size_t j = 0; j < kColumns; ++j) {
      const long double got = static_cast<long double>(pairs[2 * j]) + pairs[2 * j + 1];
      EXPECT_LE(std::abs(got - expected[j]), 1e-18L * sizes[j]) << j;
    }
    EXPECT_EQ(pairs, twin_pairs);
  }
};

TEST_P(RowsOfOneMargin, HalvesOfAPass) {
  expect_halves<double>();
  expect_halves<float>();
}

TEST_P(RowsOfOneMargin, AsIfInTwiceThePrecision) {
  expect_twice_the_precision<double>();
  expect_twice_the_precision<float>();
}

INSTANTIATE_TEST_SUITE_P(Sets, RowsOfOneMargin, ::testing::ValuesIn(available_instruction_sets()),
                         [](const auto& set) { return std::string(name(set.param)); });

}  // namespace
}  // namespace muster
