#include <gtest/gtest.h>

#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;
using testing::Shape;

struct Evaluation {
  double value = 0;
  std::vector<double> gradient, tallies, product;
};

Scaling some_scaling(std::size_t cols) {
  Scaling scaling;
  for (std::size_t j = 0; j < cols; ++j) {
    scaling.centre.push_back(0.25 * static_cast<double>(j % 5) - 0.3);
    scaling.scale.push_back(j % 7 == 3 ? 0.0 : 0.5 + 0.25 * static_cast<double>(j % 4));
  }
  return scaling;
}

std::vector<double> some_point(std::size_t size) {
  std::vector<double> v(size);
  for (std::size_t j = 0; j < size; ++j) v[j] = std::sin(1.0 + static_cast<double>(j));
  return v;
}

Evaluation evaluate(const Shard& shard, Loss loss, std::span<const double> v, InstructionSet set, int threads = 1,
                    bool intercept = true) {
  Executor executor(threads);
  LinearRows rows(shard, executor, set);
  LinearObjective objective(rows, loss, some_scaling(shard.cols()), intercept);
  Evaluation result;
  result.gradient.resize(objective.dimension());
  result.product.resize(objective.dimension());
  result.tallies.resize(objective.tallies());
  objective.value_and_gradient(v, result.value, result.gradient, result.tallies);
  objective.curvature_product(v, result.product);
  return result;
}

void expect_same_bits(const Evaluation& a, const Evaluation& b) {
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(a.tallies, b.tallies);
  EXPECT_EQ(a.product, b.product);
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double size = 1;
  for (double x : b) size = std::max(size, std::fabs(x));
  for (std::size_t j = 0; j < a.size(); ++j) EXPECT_NEAR(a[j], b[j], tolerance * size) << j;
}

// Two rows, two columns, weights 2 and 1, centre (1, 0), scale (2, 1), v = (1, −1), b = 0.5:
//   u = (0.5, −1); row (3, 1), o = 0, y = 1: m = 0.5·2 − 1 + 0.5 = 0.5, r = −0.5
//   row (1, 2), o = 1, y = −1: m = 0 − 2 + 0.5 + 1 = −0.5, r = 0.5
//   value = 2·0.125 + 0.125 = 0.375; gradient by u: (2·(−0.5)·2 + 0, 2·(−0.5)·1 + 0.5·2) = (−2, 0)
TEST(LinearObjective, OneStepByHand) {
  Shard shard;
  shard.matrix = DenseMatrix{2, 2, AlignedVector<double>{3, 1, 1, 2}};
  shard.targets = {1, -1};
  shard.weights = {2, 1};
  shard.offsets = {0, 1};
  Executor executor(1);
  for (const Shard& stored : {shard, as_float32(shard), as_sparse(shard)}) {
    for (InstructionSet set : available_instruction_sets()) {
      LinearRows rows(stored, executor, set);
      LinearObjective objective(rows, Loss::squared, {{1, 0}, {2, 1}}, true);
      EXPECT_EQ(objective.weight(), 3);
      const std::vector<double> v{1, -1, 0.5};
      std::vector<double> gradient(3), product(3);
      double value = 0;
      const Work work = objective.value_and_gradient(v, value, gradient, {});
      EXPECT_EQ(value, 0.375);
      EXPECT_EQ(gradient, (std::vector<double>{-1, 0, -0.5}));
      EXPECT_GT(work.bytes, 0);
      // Without y and o: m = (0.5, −1.5); by u: (2·0.5·2 + 0, 2·0.5·1 − 1.5·2).
      objective.curvature_product(v, product);
      EXPECT_EQ(product, (std::vector<double>{1, -2, -0.5}));
    }
  }
}

TEST(LinearObjective, GradientIsTheDerivativeOfTheValue) {
  for (Loss loss : {Loss::squared, Loss::logistic}) {
    const Shard dense = dense_shard(
        {.rows = 70, .cols = 9, .density = 0.6, .weights = true, .offsets = true, .classes = loss == Loss::logistic});
    for (const Shard& shard : {dense, as_sparse(dense)}) {
      std::vector<double> v = some_point(10);
      const Evaluation at = evaluate(shard, loss, v, best_instruction_set());
      for (std::size_t j = 0; j < v.size(); ++j) {
        const double step = 1e-5, middle = v[j];
        v[j] = middle + step;
        const double above = evaluate(shard, loss, v, best_instruction_set()).value;
        v[j] = middle - step;
        const double below = evaluate(shard, loss, v, best_instruction_set()).value;
        v[j] = middle;
        EXPECT_NEAR(at.gradient[j], (above - below) / (2 * step), 2e-6 * (1 + std::fabs(at.gradient[j]))) << j;
      }
    }
  }
}

// The squared loss is quadratic: ∇f(v) − ∇f(0) = B v. The logistic bound: vᵀBv >= vᵀ(∇f(x + tv) − ∇f(x))/t.
TEST(LinearObjective, CurvatureProductIsTheHessianOrAboveIt) {
  const Shard squares = dense_shard({.rows = 300, .cols = 12, .weights = true, .offsets = true});
  const std::vector<double> v = some_point(13), zero(13, 0.0);
  const Evaluation at = evaluate(squares, Loss::squared, v, best_instruction_set());
  const Evaluation origin = evaluate(squares, Loss::squared, zero, best_instruction_set());
  std::vector<double> difference(13);
  for (std::size_t j = 0; j < 13; ++j) difference[j] = at.gradient[j] - origin.gradient[j];
  expect_near(difference, at.product, 1e-13);

  const Shard classes = dense_shard({.rows = 300, .cols = 12, .weights = true, .classes = true});
  const Evaluation far = evaluate(classes, Loss::logistic, v, best_instruction_set());
  const Evaluation near = evaluate(classes, Loss::logistic, zero, best_instruction_set());
  double curvature = 0, bound = 0;
  for (std::size_t j = 0; j < 13; ++j) {
    curvature += v[j] * (far.gradient[j] - near.gradient[j]);
    bound += v[j] * far.product[j];
  }
  EXPECT_GT(bound, curvature);
  EXPECT_GT(curvature, 0);
}

// Against differences of gradients, whatever was evaluated in between and whether or not margins at the point are kept.
TEST(LinearObjective, HessianProductIsTheDerivativeOfTheGradient) {
  for (const Loss loss : {Loss::squared, Loss::logistic}) {
    const Shard dense = dense_shard(
        {.rows = 3000, .cols = 8, .density = 0.6, .weights = true, .offsets = true, .classes = loss == Loss::logistic});
    for (const Shard& shard : {dense, as_sparse(dense)}) {
      Executor executor(2);
      LinearRows rows(shard, executor, best_instruction_set());
      LinearObjective objective(rows, loss, some_scaling(8), true);
      const std::vector<double> w = some_point(9);
      std::vector<double> v(9), at(9), above(9), below(9), product(9), again(9), tallies(objective.tallies());
      for (std::size_t j = 0; j < 9; ++j) v[j] = std::cos(static_cast<double>(j));
      objective.hessian_product(w, v, product);
      double value = 0;
      const double step = 1e-5;
      for (std::size_t j = 0; j < 9; ++j) at[j] = w[j] + step * v[j];
      objective.value_and_gradient(at, value, above, tallies);
      objective.hessian_product(w, v, again);
      EXPECT_EQ(again, product);
      for (std::size_t j = 0; j < 9; ++j) at[j] = w[j] - step * v[j];
      objective.value_and_gradient(at, value, below, tallies);
      objective.value_and_gradient(std::vector<double>(9), value, again, tallies);
      objective.hessian_product(w, v, again);
      EXPECT_EQ(again, product);
      for (std::size_t j = 0; j < 9; ++j) above[j] = (above[j] - below[j]) / (2 * step);
      expect_near(product, above, 1e-8);
    }
  }
}

TEST(LinearObjective, ValueOnALineIsTheValueThere) {
  for (const Loss loss : {Loss::squared, Loss::logistic}) {
    const Shard shard =
        dense_shard({.rows = 20000, .cols = 5, .weights = true, .offsets = true, .classes = loss == Loss::logistic});
    std::vector<double> slopes;
    for (const int threads : {1, 3}) {
      Executor executor(threads);
      LinearRows rows(shard, executor, best_instruction_set());
      LinearObjective objective(rows, loss, some_scaling(5), true);
      const std::vector<double> a = some_point(6);
      std::vector<double> b(6), at(6), gradient(6), tallies(objective.tallies());
      double value = 0, on_line = 0, slope = 0;
      for (std::size_t j = 0; j < 6; ++j) b[j] = a[j] + std::cos(static_cast<double>(j));
      EXPECT_FALSE(objective.begin_line(a, b)) << "neither end was evaluated";
      objective.value_and_gradient(a, value, gradient, tallies);
      EXPECT_FALSE(objective.begin_line(a, b)) << "one end was not evaluated";
      objective.value_and_gradient(b, value, gradient, tallies);
      ASSERT_TRUE(objective.begin_line(a, b));
      for (const double t : {-0.5, 0.0, 0.3, 1.0, 4.0}) {
        objective.value_on_line(t, on_line, slope);
        slopes.push_back(slope);
        LinearObjective other(rows, loss, some_scaling(5), true);
        for (std::size_t j = 0; j < 6; ++j) at[j] = a[j] + t * (b[j] - a[j]);
        other.value_and_gradient(at, value, gradient, tallies);
        double along = 0;
        for (std::size_t j = 0; j < 6; ++j) along += gradient[j] * (b[j] - a[j]);
        EXPECT_NEAR(on_line, value, 1e-12 * value);
        EXPECT_NEAR(slope, along, 1e-12 * value);
      }
    }
    EXPECT_TRUE(std::equal(slopes.begin(), slopes.begin() + 5, slopes.begin() + 5));
  }
}

TEST(LinearObjective, SameBitsForAnyThreadsAndStorage) {
  for (Loss loss : {Loss::squared, Loss::logistic}) {
    for (const Shape& shape : {Shape{.rows = 30011, .cols = 11, .density = 0.5}, Shape{.rows = 5003, .cols = 301},
                               Shape{.rows = 1, .cols = 3}, Shape{.rows = 600, .cols = 1025, .density = 0.1}}) {
      Shape full = shape;
      full.weights = full.offsets = true;
      full.classes = loss == Loss::logistic;
      const Shard dense = dense_shard(full);
      const Shard narrow = as_float32(dense), sparse = as_sparse(dense), narrow_sparse = as_sparse(dense, true);
      const std::vector<double> v = some_point(shape.cols + 1);
      for (InstructionSet set : available_instruction_sets()) {
        const Evaluation one = evaluate(dense, loss, v, set);
        const Evaluation one_sparse = evaluate(sparse, loss, v, set);
        for (int threads : {1, 2, 3, 4, 7}) {
          expect_same_bits(evaluate(dense, loss, v, set, threads), one);
          expect_same_bits(evaluate(narrow, loss, v, set, threads), one);
          expect_same_bits(evaluate(sparse, loss, v, set, threads), one_sparse);
          expect_same_bits(evaluate(narrow_sparse, loss, v, set, threads), one_sparse);
        }
        EXPECT_NEAR(one_sparse.value, one.value, 1e-12 * one.value);
        expect_near(one_sparse.gradient, one.gradient, 1e-12);
        expect_near(one_sparse.product, one.product, 1e-12);
        expect_near(one_sparse.tallies, one.tallies, 1e-12);
      }
    }
  }
}

TEST(LinearObjective, LogisticKnowsLargeMargins) {
  for (double margin : {-800.0, -745.2, -37.0, -1e-9, 0.0, 1e-9, 37.0, 709.9, 800.0}) {
    for (double y : {0.0, 1.0}) {
      Shard shard;
      shard.matrix = DenseMatrix{1, 0, AlignedVector<double>{}};
      shard.targets = {y};
      shard.offsets = {margin};
      const long double z = (2 * y - 1) * static_cast<long double>(margin);
      const long double loss = (z < 0 ? -z : 0) + std::log1p(std::exp(-std::fabs(z)));
      const long double wrong = 1 / (1 + std::exp(z));
      for (InstructionSet set : available_instruction_sets()) {
        const Evaluation at = evaluate(shard, Loss::logistic, std::vector<double>{0.0}, set);
        EXPECT_NEAR(at.value, static_cast<double>(loss), 2e-15 * static_cast<double>(loss)) << margin;
        const double residual = static_cast<double>(y == 1 ? -wrong : wrong);
        EXPECT_NEAR(at.gradient[0], residual, 2e-15 * std::fabs(residual) + 5e-324) << margin;
        EXPECT_EQ(at.tallies[0], z <= 0 ? 1 : 0);
        const double uncertainty = static_cast<double>(wrong / (1 + std::exp(-z)));
        EXPECT_NEAR(at.tallies[1], uncertainty, 1e-14 * uncertainty + 1e-300);
      }
    }
  }
}

TEST(LinearObjective, NothingToReadIsZero) {
  for (Loss loss : {Loss::squared, Loss::logistic}) {
    Shard shard;
    shard.matrix = DenseMatrix{0, 5, AlignedVector<double>{}};
    SparseMatrix nothing;
    nothing.cols = 5;
    nothing.row_begin = {0};
    Shard sparse;
    sparse.matrix = nothing;
    for (const Shard* empty : {&shard, &sparse}) {
      const Evaluation at = evaluate(*empty, loss, some_point(6), best_instruction_set(), 2);
      EXPECT_EQ(at.value, 0);
      EXPECT_EQ(at.gradient, std::vector<double>(6, 0.0));
      EXPECT_EQ(at.product, std::vector<double>(6, 0.0));
    }
  }
}

TEST(LinearObjective, WithoutInterceptThereIsNoLastEntry) {
  const Shard shard = dense_shard({.rows = 50, .cols = 4});
  std::vector<double> v = some_point(4), with = v;
  with.push_back(0);
  const Evaluation without = evaluate(shard, Loss::squared, v, best_instruction_set(), 1, false);
  const Evaluation full = evaluate(shard, Loss::squared, with, best_instruction_set());
  EXPECT_EQ(without.value, full.value);
  EXPECT_TRUE(std::equal(without.gradient.begin(), without.gradient.end(), full.gradient.begin()));
  EXPECT_EQ(without.gradient.size(), 4u);
}

// A column of 1e10 + noise: centring in the kernel keeps the noise.
TEST(LinearObjective, HugeOffsetsLoseNothing) {
  const std::size_t rows = 1000;
  Shard plain = dense_shard({.rows = rows, .cols = 3});
  Shard shifted = plain;
  auto& values = std::get<0>(std::get<DenseMatrix>(shifted.matrix).values);
  for (double& x : values) x += 17179869184.0;  // 2^34; the noise is a multiple of 2^-12
  Executor executor(1);
  double value[2];
  std::vector<double> gradient[2] = {std::vector<double>(4), std::vector<double>(4)};
  const Shard* shards[2] = {&plain, &shifted};
  for (int k : {0, 1}) {
    LinearRows linear_rows(*shards[k], executor, best_instruction_set());
    const Scaling scaling{AlignedVector<double>(3, k == 0 ? 0.0 : 17179869184.0), {1, 1, 1}};
    LinearObjective objective(linear_rows, Loss::squared, scaling, true);
    objective.value_and_gradient(some_point(4), value[k], gradient[k], {});
  }
  EXPECT_EQ(value[0], value[1]);
  EXPECT_EQ(gradient[0], gradient[1]);
}

}  // namespace
}  // namespace muster
