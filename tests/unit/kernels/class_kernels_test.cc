// The kernels of rows of several margins: each instruction set against the scalar twin, the twin against the textbook's
// formulas in quadruple precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernel_table.h"

namespace muster {
namespace {

struct ClassCase {
  std::size_t rows, cols, classes;
  bool weights = false;
  double spread = 1;  // of the margins
};

// Rows of a case, stored as T from an address off any alignment, and what a pass over them gives.
template <class T>
struct ClassRows {
  ClassCase shape;
  std::size_t stride;
  std::vector<T> storage;
  std::vector<double> centre, targets, weights, at;
  AlignedVector<double> u, intercepts;
  const T* x;

  ClassRows(const ClassCase& asked, std::size_t misalignment)
      : shape(asked),
        stride(class_stride(asked.classes)),
        storage(asked.rows * asked.cols + misalignment + 1),
        u(asked.cols * stride, 0.0),
        intercepts(stride, 0.0),
        x(storage.data() + misalignment) {
    std::mt19937_64 random(asked.rows * 1000 + asked.cols * 10 + asked.classes);
    std::normal_distribution<double> normal;
    const auto few_bits = [&] { return std::round(normal(random) * 1024) / 1024; };
    for (std::size_t i = 0; i < asked.rows * asked.cols; ++i) storage[misalignment + i] = static_cast<T>(few_bits());
    for (std::size_t j = 0; j < asked.cols; ++j) {
      centre.push_back(few_bits());
      for (std::size_t k = 0; k < asked.classes; ++k)
        u[j * stride + k] = asked.spread * few_bits() / std::sqrt(static_cast<double>(asked.cols));
    }
    for (std::size_t k = 0; k < asked.classes; ++k) intercepts[k] = few_bits();
    for (std::size_t i = 0; i < asked.rows; ++i) {
      targets.push_back(static_cast<double>(random() % asked.classes));
      weights.push_back(std::max(0.0, few_bits()));
      for (std::size_t k = 0; k < asked.classes; ++k) at.push_back(asked.spread * few_bits());
    }
  }

  RowData data() const { return {targets.data(), shape.weights ? weights.data() : nullptr, nullptr}; }
  double weight(std::size_t i) const { return shape.weights ? weights[i] : 1; }
  ClassRequest request(ClassFunction function) const {
    ClassRequest request{function, shape.classes, u.data(), centre.data(), intercepts.data()};
    if (function == ClassFunction::hessian) request.at = at.data();
    return request;
  }
};

struct ClassResult {
  double loss = 0, wrong_side = 0;
  std::vector<double> residuals, gradient, overlaps;

  explicit ClassResult(const ClassCase& shape)
      : residuals(class_stride(shape.classes), 0.0),
        gradient(shape.cols * class_stride(shape.classes), 0.0),
        overlaps(shape.classes * class_stride(shape.classes), 0.0) {}

  template <class Pass>
  void run(const Pass& pass) {
    ClassSums sums;
    sums.residuals = residuals.data();
    sums.gradient = gradient.data();
    sums.overlaps = overlaps.data();
    pass(sums);
    loss = sums.loss;
    wrong_side = sums.wrong_side;
  }
};

template <class T>
ClassResult dense_result(const KernelTable& table, ClassFunction function, const ClassCase& shape,
                         std::size_t misalignment = 0) {
  const ClassRows<T> rows(shape, misalignment);
  ClassResult result(shape);
  std::vector<double> room(class_room(shape.cols, shape.classes));
  result.run([&](ClassSums& sums) {
    table.dense<T>().class_pass({rows.x, shape.rows, shape.cols}, rows.data(), rows.request(function), room.data(),
                                sums);
  });
  return result;
}

// Sparse rows: every second column is left out.
template <class T>
struct EveryOther {
  std::vector<std::uint64_t> row_begin{0};
  std::vector<std::uint32_t> columns;
  std::vector<T> values;

  explicit EveryOther(const ClassRows<T>& rows) {
    for (std::size_t i = 0; i < rows.shape.rows; ++i) {
      for (std::size_t j = i % 2; j < rows.shape.cols; j += 2) {
        columns.push_back(static_cast<std::uint32_t>(j));
        values.push_back(rows.x[i * rows.shape.cols + j]);
      }
      row_begin.push_back(values.size());
    }
  }
  SparseRows<T> rows(const ClassCase& shape) const {
    return {row_begin.data(), columns.data(), values.data(), shape.rows, shape.cols};
  }
};

// Centres are the caller's affair.
template <class T>
ClassResult sparse_result(const KernelTable& table, ClassFunction function, const ClassCase& shape) {
  const ClassRows<T> rows(shape, 0);
  const EveryOther<T> sparse(rows);
  ClassResult result(shape);
  std::vector<double> room(class_room(0, shape.classes));
  ClassRequest request = rows.request(function);
  request.centre = nullptr;
  result.run([&](ClassSums& sums) {
    table.sparse<T>().class_pass(sparse.rows(shape), rows.data(), request, room.data(), sums);
  });
  return result;
}

// The textbook's sums.
ClassResult naive_result(const ClassCase& shape) {
  using Wide = long double;
  const ClassRows<double> rows(shape, 0);
  const std::size_t classes = shape.classes;
  ClassResult result(shape);
  std::vector<Wide> p(classes);
  for (std::size_t i = 0; i < shape.rows; ++i) {
    const auto y = static_cast<std::size_t>(rows.targets[i]);
    Wide total = 0;
    std::size_t above = 0;
    std::vector<Wide> m(classes);
    for (std::size_t k = 0; k < classes; ++k) {
      m[k] = rows.intercepts[k];
      for (std::size_t j = 0; j < shape.cols; ++j)
        m[k] += Wide(rows.u[j * rows.stride + k]) * (Wide(rows.x[i * shape.cols + j]) - rows.centre[j]);
    }
    for (std::size_t k = 0; k < classes; ++k) total += p[k] = std::exp(m[k] - m[y]);
    for (std::size_t k = 0; k < classes; ++k) above += k != y && m[k] >= m[y];
    const Wide s = rows.weight(i);
    result.loss += static_cast<double>(s * std::log(total));
    result.wrong_side += s > 0 && above > 0;
    for (std::size_t a = 0; a < classes; ++a) {
      const Wide residual = s * (p[a] / total - (a == y ? 1 : 0));
      result.residuals[a] += static_cast<double>(residual);
      for (std::size_t j = 0; j < shape.cols; ++j)
        result.gradient[j * rows.stride + a] +=
            static_cast<double>(residual * (Wide(rows.x[i * shape.cols + j]) - rows.centre[j]));
      for (std::size_t b = a + 1; b < classes; ++b)
        result.overlaps[a * rows.stride + b] += static_cast<double>(s * p[a] / total * p[b] / total);
    }
  }
  return result;
}

void expect_close(const ClassResult& got, const ClassResult& expected, const ClassCase& shape, double tolerance) {
  const std::string where = std::to_string(shape.rows) + " rows, " + std::to_string(shape.cols) + " columns, " +
                            std::to_string(shape.classes) + " classes";
  const auto near = [&](double a, double b) { ASSERT_NEAR(a, b, tolerance * (1 + std::fabs(b))) << where; };
  near(got.loss, expected.loss);
  ASSERT_EQ(got.wrong_side, expected.wrong_side) << where;
  for (std::size_t k = 0; k < got.residuals.size(); ++k) near(got.residuals[k], expected.residuals[k]);
  for (std::size_t k = 0; k < got.gradient.size(); ++k) near(got.gradient[k], expected.gradient[k]);
  const std::size_t stride = class_stride(shape.classes);
  for (std::size_t a = 0; a < shape.classes; ++a)
    for (std::size_t b = a + 1; b < shape.classes; ++b)
      near(got.overlaps[a * stride + b], expected.overlaps[a * stride + b]);
}

std::vector<ClassCase> class_cases() {
  std::vector<ClassCase> cases;
  for (std::size_t classes = 2; classes <= 33; ++classes) cases.push_back({37, 5, classes, classes % 2 == 0});
  for (std::size_t rows = 0; rows < 70; ++rows) cases.push_back({rows, 3, 5, rows % 2 == 1});
  for (std::size_t cols = 0; cols < 40; ++cols) cases.push_back({11, cols, 3, cols % 2 == 1});
  cases.push_back({9, 5000, 12, true});
  cases.push_back({300, 40, 10, true, 30});
  return cases;
}

class ClassKernels : public ::testing::TestWithParam<InstructionSet> {
 protected:
  const KernelTable& table = kernel_table(GetParam());
  const KernelTable& twin = kernel_table(InstructionSet::scalar);
};

TEST_P(ClassKernels, PassIsItsTwinWhateverTheStorageAndItsPlace) {
  for (const ClassFunction function : {ClassFunction::softmax, ClassFunction::bound, ClassFunction::hessian}) {
    for (const ClassCase& shape : class_cases()) {
      const ClassResult expected = dense_result<double>(twin, function, shape);
      const ClassResult got = dense_result<double>(table, function, shape);
      expect_close(got, expected, shape, 1e-12);
      const ClassResult narrow = dense_result<float>(table, function, shape, 3);
      EXPECT_EQ(narrow.gradient, got.gradient);
      EXPECT_EQ(narrow.loss, got.loss);
      expect_close(sparse_result<float>(table, function, shape), sparse_result<double>(twin, function, shape), shape,
                   1e-12);
      for (std::size_t k = shape.classes; k < class_stride(shape.classes); ++k) {
        EXPECT_EQ(got.residuals[k], 0) << "the padding is kept 0";
        for (std::size_t j = 0; j < shape.cols; ++j) EXPECT_EQ(got.gradient[j * class_stride(shape.classes) + k], 0);
      }
    }
  }
}

// Margins have the bits of the pass, and from them residuals and products make its sums.
template <class Kernels, class Rows>
void expect_halves_make_the_pass(const KernelTable& table, const Kernels& kernels, Rows rows, RowData data,
                                 ClassRequest request, const ClassCase& shape) {
  const std::size_t classes = shape.classes, stride = class_stride(classes), count = rows.rows * classes;
  std::vector<double> room(class_room(shape.cols, classes)), of_pass(count), of_half(count);
  ClassResult whole(shape), halves(shape);
  request.margins = of_pass.data();
  whole.run([&](ClassSums& sums) { kernels.class_pass(rows, data, request, room.data(), sums); });
  request.margins = of_half.data();
  kernels.class_margins(rows, request, room.data());
  ASSERT_EQ(of_half, of_pass);
  std::vector<double> margins(rows.rows * stride, 0.0), at(rows.rows * stride, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    margins[i / classes * stride + i % classes] = of_half[i];
    if (request.at) at[i / classes * stride + i % classes] = request.at[i];
  }
  halves.run([&](ClassSums& sums) {
    table.class_residuals(request.function, margins.data(), at.data(), rows.rows, data, classes, sums);
    kernels.add_class_products(rows, margins.data(), classes, request.centre, room.data(), sums.gradient);
  });
  expect_close(halves, whole, shape, 1e-13);
}

TEST_P(ClassKernels, HalvesMakeThePass) {
  for (const ClassFunction function : {ClassFunction::softmax, ClassFunction::bound, ClassFunction::hessian}) {
    for (const ClassCase& shape : class_cases()) {
      const ClassRows<double> wide(shape, 1);
      const ClassRows<float> narrow(shape, 1);
      expect_halves_make_the_pass(table, table.dense64, DenseRows<double>{wide.x, shape.rows, shape.cols}, wide.data(),
                                  wide.request(function), shape);
      expect_halves_make_the_pass(table, table.dense32, DenseRows<float>{narrow.x, shape.rows, shape.cols},
                                  narrow.data(), narrow.request(function), shape);
      const EveryOther<double> sparse(wide);
      expect_halves_make_the_pass(table, table.sparse64, sparse.rows(shape), wide.data(), wide.request(function),
                                  shape);
      const EveryOther<float> narrow_sparse(narrow);
      expect_halves_make_the_pass(table, table.sparse32, narrow_sparse.rows(shape), narrow.data(),
                                  narrow.request(function), shape);
    }
  }
}

TEST_P(ClassKernels, SoftmaxIsTheTextbooks) {
  for (const ClassCase& shape : class_cases())
    expect_close(dense_result<double>(table, ClassFunction::softmax, shape), naive_result(shape), shape, 1e-12);
}

// A row far on its right side has a loss and a residual of e^−distance, not 0; one far on the wrong side overflows
// nothing. Two classes are the logistic loss.
TEST_P(ClassKernels, SoftmaxKeepsSmallAndLargeLosses) {
  for (const double distance : {0.0, 1e-9, 1.0, 36.0, 100.0, 700.0, 5000.0}) {
    for (const double side : {1.0, -1.0}) {
      std::vector<double> margins{side * distance, 0, 0, 0, 0, 0, 0, 0}, residuals(kClassLanes, 0.0);
      const double y = 0;
      ClassSums sums;
      sums.residuals = residuals.data();
      table.class_residuals(ClassFunction::softmax, margins.data(), nullptr, 1, {&y, nullptr, nullptr}, 2, sums);
      const double z = side * distance, target = 1;
      double logistic = 0;
      PassSums two;
      table.residuals(RowFunction::logistic, &z, 1, {&target, nullptr, nullptr}, &logistic, two);
      EXPECT_NEAR(sums.loss, two.loss, 1e-15 * two.loss);
      EXPECT_NEAR(margins[0], logistic, 1e-15 * std::fabs(logistic));
      EXPECT_NEAR(margins[1], -logistic, 1e-15 * std::fabs(logistic));
      EXPECT_EQ(sums.wrong_side, two.wrong_side);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ClassKernels, ::testing::ValuesIn(available_instruction_sets()),
                         [](const auto& set) { return std::string(name(set.param)); });

}  // namespace
}  // namespace muster
