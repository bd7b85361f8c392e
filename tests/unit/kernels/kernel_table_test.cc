// Every kernel of every instruction set against its scalar twin: lengths 0 to 70 and some large, starts off any
// alignment, both storages.
#include "kernels/kernel_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace muster {
namespace {

std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all(71);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (std::size_t large : {127, 300, 1000, 4097, 9001}) all.push_back(large);
  return all;
}

// `count` values with few bits, starting `misalignment` values after an aligned address.
template <class T>
class Values {
 public:
  Values(std::size_t count, std::size_t misalignment, std::uint64_t seed, double size = 1)
      : storage_(count + misalignment + 16) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    begin_ = (64 - address % 64) % 64 / sizeof(T) + misalignment;
    for (std::size_t i = 0; i < count; ++i) data()[i] = static_cast<T>(std::round(normal(random) * 4096) / 4096 * size);
  }
  T* data() { return storage_.data() + begin_; }

 private:
  std::vector<T> storage_;
  std::size_t begin_;
};

class Kernels : public ::testing::TestWithParam<InstructionSet> {
 protected:
  const KernelTable& table = kernel_table(GetParam());
  const KernelTable& twin = kernel_table(InstructionSet::scalar);
};

void expect_near(const double* got, const double* expected, std::size_t count, double tolerance) {
  for (std::size_t j = 0; j < count; ++j)
    ASSERT_NEAR(got[j], expected[j], tolerance * (1 + std::fabs(expected[j]))) << j;
}

struct PassResult {
  PassSums sums;
  std::vector<double> gradient, margins;
};

template <class T>
PassResult run_pass(const KernelTable& kernels, RowFunction function, std::size_t rows, std::size_t cols,
                    std::size_t misalignment, bool beside) {
  Values<T> x(rows * cols, misalignment, 1);
  const double size = 1 / std::sqrt(1.0 + static_cast<double>(cols));
  Values<double> u(cols, misalignment, 2, size), centre(cols, misalignment + 1, 3), y(rows, misalignment, 4),
      weights(rows, misalignment, 5), offsets(rows, misalignment, 6);
  for (std::size_t i = 0; i < rows; ++i) {
    weights.data()[i] = std::max(weights.data()[i], 0.0);
    if (function == RowFunction::logistic) y.data()[i] = y.data()[i] > 0 ? 1 : 0;
  }
  PassResult result{{}, std::vector<double>(cols + 1, 0.125), {}};
  const RowData data{y.data(), beside ? weights.data() : nullptr, beside ? offsets.data() : nullptr};
  result.margins.assign(rows + 1, 0.25);
  kernels.dense<T>().pass({x.data(), rows, cols}, data, {function, u.data(), centre.data(), 0.5, result.margins.data()},
                          result.sums, result.gradient.data());
  EXPECT_EQ(result.margins[rows], 0.25) << "written past the end";
  EXPECT_EQ(result.gradient[cols], 0.125) << "written past the end";
  return result;
}

void expect_near(const PassResult& got, const PassResult& expected, double tolerance) {
  expect_near(got.gradient.data(), expected.gradient.data(), got.gradient.size(), tolerance);
  expect_near(got.margins.data(), expected.margins.data(), got.margins.size(), tolerance);
  EXPECT_NEAR(got.sums.loss, expected.sums.loss, tolerance * (1 + expected.sums.loss));
  EXPECT_NEAR(got.sums.residual, expected.sums.residual,
              tolerance * (1 + expected.sums.loss + std::fabs(expected.sums.residual)));
  EXPECT_EQ(got.sums.wrong_side, expected.sums.wrong_side);
  EXPECT_NEAR(got.sums.uncertainty, expected.sums.uncertainty, tolerance * (1 + expected.sums.uncertainty));
}

void expect_same_bits(const PassResult& a, const PassResult& b) {
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(a.margins, b.margins);
  EXPECT_EQ(a.sums.loss, b.sums.loss);
  EXPECT_EQ(a.sums.residual, b.sums.residual);
  EXPECT_EQ(a.sums.wrong_side, b.sums.wrong_side);
  EXPECT_EQ(a.sums.uncertainty, b.sums.uncertainty);
}

TEST_P(Kernels, PassIsItsTwin) {
  for (RowFunction function : {RowFunction::squared, RowFunction::logistic, RowFunction::product}) {
    for (std::size_t cols : lengths()) {
      const std::size_t rows = cols < 100 ? 3 + cols % 19 : 21;
      const PassResult expected = run_pass<double>(twin, function, rows, cols, 0, true);
      const PassResult first = run_pass<double>(table, function, rows, cols, 0, true);
      expect_near(first, expected, 1e-13);
      for (std::size_t misalignment : {0, 1, 2, 3, 5, 7}) {
        expect_same_bits(run_pass<double>(table, function, rows, cols, misalignment, true), first);
        expect_same_bits(run_pass<float>(table, function, rows, cols, misalignment, true), first);
      }
    }
    for (std::size_t rows : lengths()) {
      for (bool beside : {false, true}) {
        const PassResult expected = run_pass<double>(twin, function, rows, 5, 0, beside);
        const PassResult first = run_pass<double>(table, function, rows, 5, 1, beside);
        expect_near(first, expected, 1e-12);
        expect_same_bits(run_pass<float>(table, function, rows, 5, 3, beside), first);
      }
    }
  }
}

template <class T>
void column_kernels(const KernelTable& table, const KernelTable& twin, std::size_t cols, std::size_t misalignment) {
  const std::size_t rows = 7;
  Values<T> x(rows * cols, misalignment, 1);
  Values<double> x64(rows * cols, 0, 1), centre(cols, misalignment, 2), factors(rows, misalignment, 3);
  const std::vector<unsigned char> select{1, 0, 1, 1, 0, 0, 1};
  const DenseRows<T> block{x.data(), rows, cols};
  const DenseRows<double> block64{x64.data(), rows, cols};
  const double* no_factors = nullptr;
  for (const double* factor : {no_factors, static_cast<const double*>(factors.data())}) {
    std::vector<double> a(cols + 1, 0.5), b(cols + 1, 0.5);
    table.dense<T>().add_centred(block, factor, centre.data(), a.data());
    twin.dense64.add_centred(block64, factor, centre.data(), b.data());
    expect_near(a.data(), b.data(), cols + 1, 1e-14);
    table.dense<T>().add_centred_squares(block, factor, centre.data(), a.data());
    twin.dense64.add_centred_squares(block64, factor, centre.data(), b.data());
    expect_near(a.data(), b.data(), cols + 1, 1e-13);
    const std::size_t stride = cols + 3;
    std::vector<double> panel(rows * stride, -1), expected(rows * stride, -1);
    table.dense<T>().centre(block, factor, centre.data(), panel.data(), stride);
    twin.dense64.centre(block64, factor, centre.data(), expected.data(), stride);
    EXPECT_EQ(panel, expected);
  }
  std::vector<double> low(cols + 1, 0.25), high(cols + 1, -0.25), twin_low = low, twin_high = high;
  table.dense<T>().ranges(block, select.data(), low.data(), high.data());
  twin.dense64.ranges(block64, select.data(), twin_low.data(), twin_high.data());
  EXPECT_EQ(low, twin_low);
  EXPECT_EQ(high, twin_high);
}

TEST_P(Kernels, ColumnKernelsAreTheirTwins) {
  for (std::size_t cols : lengths()) {
    for (std::size_t misalignment : {0, 1, 3}) {
      column_kernels<double>(table, twin, cols, misalignment);
      column_kernels<float>(table, twin, cols, misalignment);
    }
  }
}

// p(1 − p) = e^m / (1 + e^m)².
TEST_P(Kernels, MarginsHaveTheBitsOfThePass) {
  for (std::size_t cols : lengths()) {
    const std::size_t rows = 21;
    const PassResult pass = run_pass<float>(table, RowFunction::squared, rows, cols, 1, false);
    Values<float> x(rows * cols, 1, 1);
    Values<double> u(cols, 0, 2, 1 / std::sqrt(1.0 + static_cast<double>(cols))), centre(cols, 0, 3);
    std::vector<double> margins(rows);
    table.dense<float>().margins({x.data(), rows, cols}, u.data(), centre.data(), margins.data());
    for (std::size_t i = 0; i < rows; ++i) ASSERT_EQ(margins[i] + 0.5, pass.margins[i]) << cols << " " << i;
  }
}

TEST_P(Kernels, LogisticCurvaturesAreAccurate) {
  for (const std::size_t count : {1, 3, 8, 37, 1000}) {
    Values<double> margins(count, 1, 7, 9), weights(count, 3, 8);
    std::vector<double> out(count + 1, 0.25);
    for (const double* weight : {static_cast<const double*>(nullptr), static_cast<const double*>(weights.data())}) {
      table.logistic_curvatures(margins.data(), count, weight, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        const double e = std::exp(margins.data()[i]);
        const double expected = (weight ? weight[i] : 1) * e / ((1 + e) * (1 + e));
        ASSERT_NEAR(out[i], expected, 1e-14 * std::fabs(expected));
      }
      EXPECT_EQ(out[count], 0.25);
    }
  }
}

double error_in_ulp(double got, long double truth) {
  const double rounded = static_cast<double>(truth);
  const double ulp = std::nextafter(std::fabs(rounded), std::numeric_limits<double>::infinity()) - std::fabs(rounded);
  return static_cast<double>(std::fabs(got - truth)) / ulp;
}

TEST_P(Kernels, ExponentialAndLogarithmAreAccurate) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> wide(-708, 0), narrow(-2, 0), exponent(-60, 0);
  std::vector<double> x{0, -0.0, -1e-300, -1e-17, -0x1p-53, -0.34657359027997264, -0.34657359027997270, -708};
  for (int i = 0; i < 200000; ++i) x.push_back(i % 2 ? wide(random) : narrow(random));
  std::vector<double> out(x.size());
  table.exp(x.data(), x.size(), out.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_LE(error_in_ulp(out[i], std::exp(static_cast<long double>(x[i]))), 2) << x[i];
  }
  std::vector<double> e{0, 1, 0x1p-1074, 0x1p-54, 0x1p-53, 0x1p-52, 0.41421356237309503, 0.41421356237309509};
  for (int i = 0; i < 200000; ++i) e.push_back(i % 2 ? std::exp2(exponent(random)) : std::exp(narrow(random)));
  out.resize(e.size());
  table.log1p(e.data(), e.size(), out.data());
  for (std::size_t i = 0; i < e.size(); ++i) {
    ASSERT_LE(error_in_ulp(out[i], std::log1p(static_cast<long double>(e[i]))), 3) << e[i];
  }
}

// Far below, results are subnormal or 0 and must not become anything else.
TEST_P(Kernels, ExponentialUnderflowsToZero) {
  const std::vector<double> x{-709, -720, -745, -746, -800, -1e5, -1e300, -std::numeric_limits<double>::infinity()};
  std::vector<double> out(x.size());
  table.exp(x.data(), x.size(), out.data());
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(out[i], std::exp(x[i]), 1e-307) << x[i];
  EXPECT_EQ(out[4], 0);
  EXPECT_EQ(out[7], 0);
}

TEST_P(Kernels, BitsDoNotDependOnTheLane) {
  std::vector<double> x(37, -0.7), out(37), logarithms(37);
  table.exp(x.data(), x.size(), out.data());
  table.log1p(out.data(), out.size(), logarithms.data());
  EXPECT_EQ(out, std::vector<double>(37, out[0]));
  EXPECT_EQ(logarithms, std::vector<double>(37, logarithms[0]));
}

// Pairs with low parts within half a unit of the high ones.
struct Pairs {
  Values<double> high, low;
  Pairs(std::size_t count, std::size_t misalignment, std::uint64_t seed)
      : high(count, misalignment, seed), low(count, misalignment + 1, seed + 1, 0x1p-56) {
    for (std::size_t i = 0; i < count; ++i) low.data()[i] *= high.data()[i];
  }
  DoubleDoubleArray array() { return {high.data(), low.data()}; }
};

TEST_P(Kernels, DoubleDoubleKernelsHaveTheBitsOfTheirTwins) {
  for (std::size_t count : lengths()) {
    for (std::size_t misalignment : {0, 1, 3}) {
      Pairs z(count, misalignment, 1), a(count, misalignment, 3), b(count, misalignment, 3);
      Values<double> centre(count, misalignment, 5);
      const auto same = [&] {
        EXPECT_TRUE(std::equal(a.high.data(), a.high.data() + count, b.high.data()));
        EXPECT_TRUE(std::equal(a.low.data(), a.low.data() + count, b.low.data()));
      };
      const DoubleDouble factor(0.7, 1e-18);
      table.add_multiple(factor, z.array(), count, a.array());
      twin.add_multiple(factor, z.array(), count, b.array());
      same();
      table.add(z.array(), count, a.array());
      twin.add(z.array(), count, b.array());
      same();
      table.subtract(z.array(), centre.data(), count, a.array());
      twin.subtract(z.array(), centre.data(), count, b.array());
      same();
      const DoubleDouble got = table.dot(z.array(), centre.data(), count);
      const DoubleDouble expected = twin.dot(z.array(), centre.data(), count);
      EXPECT_NEAR(static_cast<double>(got - expected), 0, 1e-29 * (1 + static_cast<double>(count)));
    }
  }
}

TEST_P(Kernels, OuterProductsHaveTheBitsOfTheirTwins) {
  for (std::size_t order : {2, 3, 8, 9, 28, 65}) {
    const std::size_t stride = (order + 7) / 8 * 8;
    Pairs z(stride, 0, 1);
    for (std::size_t i = order; i < stride; ++i) z.high.data()[i] = z.low.data()[i] = 0;
    Pairs a(order * stride, 1, 3), b(order * stride, 1, 3);
    table.add_outer(0.3, z.array(), order, stride, a.array());
    twin.add_outer(0.3, z.array(), order, stride, b.array());
    for (std::size_t i = 0; i < order; ++i) {
      for (std::size_t j = i; j < order; ++j) {
        EXPECT_EQ(a.high.data()[i * stride + j], b.high.data()[i * stride + j]);
        EXPECT_EQ(a.low.data()[i * stride + j], b.low.data()[i * stride + j]);
      }
    }
  }
}

// Values of few bits: the sums are exact, in any order.
TEST_P(Kernels, GramMatchesTheTwinExactly) {
  std::vector<std::size_t> orders(71);
  for (std::size_t i = 0; i < orders.size(); ++i) orders[i] = i;
  orders.push_back(127);
  orders.push_back(250);
  for (const std::size_t order : orders) {
    for (const std::size_t rows : {0, 1, 7, 128, 131, 300}) {
      Values<double> panel(rows * order, 1 + order % 3, 1), room(gram_room(order), 1, 4);
      Values<double> a(order * order, 3, 2), b(order * order, 0, 2);
      table.add_gram(panel.data(), rows, order, room.data(), a.data());
      twin.add_gram(panel.data(), rows, order, room.data(), b.data());
      for (std::size_t i = 0; i < order; ++i) {
        for (std::size_t j = i; j < order; ++j) {
          ASSERT_EQ(a.data()[i * order + j], b.data()[i * order + j]) << order << " " << rows << " " << i << " " << j;
        }
      }
    }
  }
}

// Columns [skip, order) alone give the bits that they give among the others, in whatever tile they lie.
TEST_P(Kernels, GramsBitsDoNotDependOnThePlaceOfAColumn) {
  constexpr std::size_t kRows = 300, kOrder = 61;
  std::vector<double> panel(kRows * kOrder);
  for (std::size_t i = 0; i < panel.size(); ++i) panel[i] = std::sin(static_cast<double>(i));
  std::vector<double> room(gram_room(kOrder)), whole(kOrder * kOrder);
  table.add_gram(panel.data(), kRows, kOrder, room.data(), whole.data());
  for (const std::size_t skip : {1, 5, 8, 24, 40, 60}) {
    const std::size_t order = kOrder - skip;
    std::vector<double> rest, sums(order * order);
    for (std::size_t k = 0; k < kRows; ++k) {
      for (std::size_t j = skip; j < kOrder; ++j) rest.push_back(panel[k * kOrder + j]);
    }
    table.add_gram(rest.data(), kRows, order, room.data(), sums.data());
    for (std::size_t i = 0; i < order; ++i) {
      for (std::size_t j = i; j < order; ++j) {
        ASSERT_EQ(sums[i * order + j], whole[(i + skip) * kOrder + j + skip]) << skip << " " << i << " " << j;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, Kernels, ::testing::ValuesIn(available_instruction_sets()),
                         [](const auto& set) { return std::string(name(set.param)); });

TEST(InstructionSets, AreNamedAndAscend) {
  const auto sets = available_instruction_sets();
  EXPECT_EQ(sets.front(), InstructionSet::scalar);
  EXPECT_TRUE(std::is_sorted(sets.begin(), sets.end()));
  EXPECT_EQ(best_instruction_set(), sets.back());
  for (InstructionSet set : sets) EXPECT_EQ(kernel_table(set).set, set);
  EXPECT_EQ(name(InstructionSet::avx512), "avx512");
}

}  // namespace
}  // namespace muster
