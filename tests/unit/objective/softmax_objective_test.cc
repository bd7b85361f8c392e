#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "objective/linear_rows.h"
#include "shards.h"

namespace muster {
namespace {

using testing::as_float32;
using testing::as_sparse;
using testing::dense_shard;
using testing::Shape;

Shard class_shard(const Shape& shape, std::size_t classes) {
  Shard shard = dense_shard(shape);
  std::mt19937_64 random(shape.seed + 17);
  for (double& y : shard.targets) y = static_cast<double>(random() % classes);
  return shard;
}

Scaling scaling_of(std::size_t cols) {
  Scaling scaling;
  for (std::size_t j = 0; j < cols; ++j) {
    scaling.centre.push_back(0.25 * static_cast<double>(j % 5) - 0.3);
    scaling.scale.push_back(j % 7 == 3 ? 0.0 : 0.5 + 0.25 * static_cast<double>(j % 4));
  }
  return scaling;
}

std::vector<double> point_of(std::size_t size) {
  std::vector<double> v(size);
  for (std::size_t j = 0; j < size; ++j) v[j] = std::sin(1.0 + static_cast<double>(j));
  return v;
}

struct AtPoint {
  double value = 0;
  std::vector<double> gradient, tallies, product;
};

AtPoint softmax_at(const Shard& shard, std::size_t classes, std::span<const double> v,
                   InstructionSet set = best_instruction_set(), int threads = 1) {
  Executor executor(threads);
  LinearRows rows(shard, executor, set);
  const bool intercept = v.size() > shard.cols() * classes;
  LinearObjective objective(rows, Loss::softmax, scaling_of(shard.cols()), intercept, classes);
  AtPoint at{0, std::vector<double>(v.size()), std::vector<double>(objective.tallies()), std::vector<double>(v.size())};
  objective.value_and_gradient(v, at.value, at.gradient, at.tallies);
  objective.curvature_product(v, at.product);
  return at;
}

void expect_equal(const AtPoint& a, const AtPoint& b) {
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(a.tallies, b.tallies);
  EXPECT_EQ(a.product, b.product);
}

void expect_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double size = 1;
  for (const double x : b) size = std::max(size, std::fabs(x));
  for (std::size_t j = 0; j < a.size(); ++j) EXPECT_NEAR(a[j], b[j], tolerance * size) << j;
}

// One row, x = 2, of the middle one of three classes; centre −0.3, scale 0.5, so x̃ = 4.6. With v = (0, 0, 0) and
// intercepts (0, ln 2, ln 5) the margins' exponentials are 1, 2, 5: p = (1, 2, 5)/8.
TEST(SoftmaxObjective, OneRowByHand) {
  Shard shard;
  shard.matrix = DenseMatrix{1, 1, AlignedVector<double>{2}};
  shard.targets = {1};
  shard.weights = {3};
  for (const Shard& stored : {shard, as_float32(shard), as_sparse(shard)}) {
    for (const InstructionSet set : available_instruction_sets()) {
      const AtPoint at = softmax_at(stored, 3, std::vector<double>{0, 0, 0, 0, std::log(2.0), std::log(5.0)}, set);
      EXPECT_NEAR(at.value, 3 * std::log(4.0), 1e-14);
      const std::vector<double> residuals{3 / 8.0, -9.0 / 4, 15 / 8.0};
      for (std::size_t k = 0; k < 3; ++k) {
        EXPECT_NEAR(at.gradient[k], residuals[k] * 4.6, 1e-14);
        EXPECT_NEAR(at.gradient[3 + k], residuals[k], 1e-15);
      }
      expect_close(at.tallies, {1, 3 * 2 / 64.0, 3 * 5 / 64.0, 3 * 10 / 64.0}, 1e-15);
    }
  }
}

TEST(SoftmaxObjective, GradientIsTheDerivativeOfTheValue) {
  const std::size_t classes = 4;
  const Shard dense = class_shard({.rows = 70, .cols = 5, .density = 0.6, .weights = true}, classes);
  for (const Shard& shard : {dense, as_sparse(dense)}) {
    std::vector<double> v = point_of(6 * classes);
    const AtPoint at = softmax_at(shard, classes, v);
    for (std::size_t j = 0; j < v.size(); ++j) {
      const double step = 1e-5, middle = v[j];
      v[j] = middle + step;
      const double above = softmax_at(shard, classes, v).value;
      v[j] = middle - step;
      const double below = softmax_at(shard, classes, v).value;
      v[j] = middle;
      EXPECT_NEAR(at.gradient[j], (above - below) / (2 * step), 2e-6 * (1 + std::fabs(at.gradient[j]))) << j;
    }
  }
}

// Two classes with opposite coefficients ∓v/2 are the logistic loss of v.
TEST(SoftmaxObjective, TwoClassesAreLogistic) {
  const Shard dense = class_shard({.rows = 900, .cols = 6, .density = 0.7, .weights = true}, 2);
  const std::vector<double> v = point_of(7);
  std::vector<double> both;
  for (const double x : v) both.insert(both.end(), {-x / 2, x / 2});
  for (const Shard& shard : {dense, as_sparse(dense)}) {
    Executor executor(1);
    LinearRows rows(shard, executor, best_instruction_set());
    LinearObjective logistic(rows, Loss::logistic, scaling_of(6), true);
    double value = 0;
    std::vector<double> gradient(7), tallies(2), product(7);
    logistic.value_and_gradient(v, value, gradient, tallies);
    logistic.curvature_product(v, product);
    const AtPoint at = softmax_at(shard, 2, both);
    EXPECT_NEAR(at.value, value, 1e-13 * value);
    expect_close(at.tallies, tallies, 1e-13);
    for (std::size_t j = 0; j < 7; ++j) {
      EXPECT_NEAR(at.gradient[2 * j + 1], gradient[j], 1e-11);
      EXPECT_NEAR(at.gradient[2 * j], -gradient[j], 1e-11);
      EXPECT_NEAR(at.product[2 * j + 1], product[j], 1e-11);  // ½(I − ½11ᵀ)(−½, ½) = ¼(−1, 1)
    }
  }
}

// The same added to every class changes nothing, so derivatives along it are 0.
TEST(SoftmaxObjective, AShiftOfAllClassesChangesNothing) {
  const std::size_t classes = 5, cols = 4;
  const Shard shard = class_shard({.rows = 500, .cols = cols}, classes);
  std::vector<double> v = point_of((cols + 1) * classes);
  const AtPoint at = softmax_at(shard, classes, v);
  for (std::size_t j = 0; j <= cols; ++j) {
    double slope = 0, curvature = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      slope += at.gradient[j * classes + k];
      curvature += at.product[j * classes + k];
      v[j * classes + k] += static_cast<double>(j) - 1.5;
    }
    EXPECT_NEAR(slope, 0, 1e-12);
    EXPECT_NEAR(curvature, 0, 1e-12);
  }
  EXPECT_NEAR(softmax_at(shard, classes, v).value, at.value, 1e-13 * at.value);
}

// Böhning's bound: above the mean curvature along every line, and equal to it for two classes at p = ½.
TEST(SoftmaxObjective, CurvatureProductIsAboveTheHessian) {
  for (const std::size_t classes : {2, 3, 9}) {
    const Shard shard = class_shard({.rows = 300, .cols = 4, .weights = true}, classes);
    const std::vector<double> v = point_of(5 * classes);
    std::vector<double> small = v, back = v;
    const double t = 1e-6;
    for (double& x : small) x *= t;
    for (double& x : back) x *= -t;
    const AtPoint bound = softmax_at(shard, classes, v), at = softmax_at(shard, classes, small);
    const AtPoint behind = softmax_at(shard, classes, back);
    double above = 0, curvature = 0;
    for (std::size_t j = 0; j < v.size(); ++j) {
      above += v[j] * bound.product[j];
      curvature += v[j] * (at.gradient[j] - behind.gradient[j]) / (2 * t);
    }
    if (classes == 2) {
      EXPECT_NEAR(above, curvature, 1e-6 * curvature);
    } else {
      EXPECT_GT(above, curvature);  // at p = 1/K, by K/2
      EXPECT_NEAR(above, curvature * static_cast<double>(classes) / 2, 1e-5 * above);
    }
  }
}

TEST(SoftmaxObjective, HessianProductIsTheDerivativeOfTheGradient) {
  const std::size_t classes = 5, cols = 6;
  const Shard dense = class_shard({.rows = 700, .cols = cols, .density = 0.6, .weights = true}, classes);
  const std::vector<double> w = point_of((cols + 1) * classes);
  std::vector<double> v(w.size()), above = w, below = w, first;
  const double step = 1e-5;
  for (std::size_t j = 0; j < v.size(); ++j) {
    v[j] = std::cos(3.0 * static_cast<double>(j));
    above[j] += step * v[j];
    below[j] -= step * v[j];
  }
  for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense)}) {
    const std::vector<double> up = softmax_at(shard, classes, above).gradient;
    const std::vector<double> down = softmax_at(shard, classes, below).gradient;
    for (const InstructionSet set : available_instruction_sets()) {
      std::vector<double> product(w.size()), again(w.size());
      for (const int threads : {1, 3}) {
        Executor executor(threads);
        LinearRows rows(shard, executor, set);
        LinearObjective objective(rows, Loss::softmax, scaling_of(cols), true, classes);
        ASSERT_TRUE(objective.has_hessian());
        objective.hessian_product(w, v, threads == 1 ? product : again);
      }
      EXPECT_EQ(product, again);
      for (std::size_t j = 0; j < v.size(); ++j)
        EXPECT_NEAR(product[j], (up[j] - down[j]) / (2 * step), 1e-6 * (1 + std::fabs(product[j]))) << j;
    }
  }
}

// Whatever was evaluated in between, and whether or not margins at the point are kept.
TEST(SoftmaxObjective, HessianProductHasTheSameBitsFromKeptMargins) {
  const std::size_t classes = 3, cols = 5;
  const Shard dense = class_shard({.rows = 2000, .cols = cols, .density = 0.6, .weights = true}, classes);
  for (const Shard& shard : {dense, as_sparse(dense)}) {
    Executor executor(2);
    LinearRows rows(shard, executor, best_instruction_set());
    LinearObjective objective(rows, Loss::softmax, scaling_of(cols), true, classes);
    const std::vector<double> w = point_of((cols + 1) * classes), v(w.rbegin(), w.rend());
    std::vector<double> product(w.size()), again(w.size()), tallies(objective.tallies());
    double value = 0;
    objective.hessian_product(w, v, product);
    objective.value_and_gradient(v, value, again, tallies);
    objective.value_and_gradient(w, value, again, tallies);
    objective.hessian_product(w, v, again);
    EXPECT_EQ(again, product);
    objective.value_and_gradient(std::vector<double>(w.size()), value, again, tallies);
    objective.value_and_gradient(v, value, again, tallies);
    objective.hessian_product(w, v, again);
    EXPECT_EQ(again, product);
  }
}

TEST(SoftmaxObjective, ValueOnALineIsTheValueThere) {
  const std::size_t classes = 4, cols = 5;
  const Shard dense = class_shard({.rows = 20000, .cols = cols, .density = 0.6, .weights = true}, classes);
  for (const Shard& shard : {dense, as_sparse(dense)}) {
    std::vector<double> slopes;
    for (const int threads : {1, 3}) {
      Executor executor(threads);
      LinearRows rows(shard, executor, best_instruction_set());
      LinearObjective objective(rows, Loss::softmax, scaling_of(cols), true, classes);
      const std::vector<double> a = point_of((cols + 1) * classes), b(a.rbegin(), a.rend());
      std::vector<double> at(a.size()), gradient(a.size()), tallies(objective.tallies());
      double value = 0, on_line = 0, slope = 0;
      EXPECT_FALSE(objective.begin_line(a, b)) << "neither end was evaluated";
      objective.value_and_gradient(a, value, gradient, tallies);
      EXPECT_FALSE(objective.begin_line(a, b)) << "one end was not evaluated";
      objective.value_and_gradient(b, value, gradient, tallies);
      ASSERT_TRUE(objective.begin_line(a, b));
      for (const double t : {-0.5, 0.0, 0.3, 1.0, 4.0}) {
        objective.value_on_line(t, on_line, slope);
        slopes.push_back(slope);
        for (std::size_t j = 0; j < a.size(); ++j) at[j] = a[j] + t * (b[j] - a[j]);
        const AtPoint there = softmax_at(shard, classes, at);
        double along = 0;
        for (std::size_t j = 0; j < a.size(); ++j) along += there.gradient[j] * (b[j] - a[j]);
        EXPECT_NEAR(on_line, there.value, 1e-12 * there.value);
        EXPECT_NEAR(slope, along, 1e-12 * there.value);
      }
    }
    EXPECT_TRUE(std::equal(slopes.begin(), slopes.begin() + 5, slopes.begin() + 5));
  }
}

TEST(SoftmaxObjective, TalliesAreTheCurvatureByIntercepts) {
  const std::size_t classes = 4, cols = 3;
  const Shard shard = class_shard({.rows = 200, .cols = cols, .weights = true}, classes);
  std::vector<double> v = point_of((cols + 1) * classes);
  const std::vector<double> curvature = curvature_by_intercepts(softmax_at(shard, classes, v).tallies, classes, 2.0);
  for (std::size_t a = 0; a < classes; ++a) {
    const double step = 1e-5, middle = v[cols * classes + a];
    v[cols * classes + a] = middle + step;
    const AtPoint above = softmax_at(shard, classes, v);
    v[cols * classes + a] = middle - step;
    const AtPoint below = softmax_at(shard, classes, v);
    v[cols * classes + a] = middle;
    for (std::size_t b = 0; b < classes; ++b) {
      const double difference = above.gradient[cols * classes + b] - below.gradient[cols * classes + b];
      EXPECT_NEAR(curvature[a * classes + b], difference / (2 * step) / 2, 1e-6) << a << b;
    }
  }
}

TEST(SoftmaxObjective, SameBitsForAnyThreadsAndStorage) {
  for (const Shape& shape : {Shape{.rows = 9011, .cols = 11, .density = 0.5}, Shape{.rows = 1003, .cols = 301},
                             Shape{.rows = 1, .cols = 3}, Shape{.rows = 600, .cols = 1025, .density = 0.1}}) {
    const std::size_t classes = 3 + shape.rows % 7;
    Shape full = shape;
    full.weights = true;
    const Shard dense = class_shard(full, classes);
    const Shard narrow = as_float32(dense), sparse = as_sparse(dense), narrow_sparse = as_sparse(dense, true);
    const std::vector<double> v = point_of((shape.cols + 1) * classes);
    for (const InstructionSet set : available_instruction_sets()) {
      const AtPoint one = softmax_at(dense, classes, v, set), one_sparse = softmax_at(sparse, classes, v, set);
      for (const int threads : {2, 5}) {
        expect_equal(softmax_at(dense, classes, v, set, threads), one);
        expect_equal(softmax_at(narrow, classes, v, set, threads), one);
        expect_equal(softmax_at(sparse, classes, v, set, threads), one_sparse);
        expect_equal(softmax_at(narrow_sparse, classes, v, set, threads), one_sparse);
      }
      EXPECT_NEAR(one_sparse.value, one.value, 1e-12 * one.value);
      expect_close(one_sparse.gradient, one.gradient, 1e-12);
      expect_close(one_sparse.product, one.product, 1e-12);
      expect_close(one_sparse.tallies, one.tallies, 1e-12);
    }
  }
}

TEST(SoftmaxObjective, NothingToReadIsZeroAndThereMayBeNoIntercept) {
  const Shard none = class_shard({.rows = 0, .cols = 3}, 4), some = class_shard({.rows = 60, .cols = 3}, 4);
  for (const Shard& shard : {none, as_sparse(none)}) {
    const AtPoint at = softmax_at(shard, 4, point_of(16));
    EXPECT_EQ(at.value, 0);
    EXPECT_EQ(at.gradient, std::vector<double>(16, 0.0));
  }
  std::vector<double> v = point_of(12), with = v;
  with.resize(16, 0.0);
  const AtPoint without = softmax_at(some, 4, v), full = softmax_at(some, 4, with);
  EXPECT_EQ(without.value, full.value);
  EXPECT_TRUE(std::equal(without.gradient.begin(), without.gradient.end(), full.gradient.begin()));
}

// The certificate's sums, in the user's units and in double-double, are the objective's.
TEST(SoftmaxObjective, CertifyAgreesWithIt) {
  const std::size_t classes = 5, cols = 4;
  const Shard dense = class_shard({.rows = 700, .cols = cols, .density = 0.6, .weights = true}, classes);
  const Scaling scaling = scaling_of(cols);
  const std::vector<double> v = point_of((cols + 1) * classes);
  std::vector<double> w(cols * classes), intercepts(v.end() - classes, v.end());
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double scale = scaling.scale[i / classes];
    w[i] = scale == 0 ? 0 : v[i] / scale;
    intercepts[i % classes] -= w[i] * scaling.centre[i / classes];
  }
  for (const Shard& shard : {dense, as_float32(dense), as_sparse(dense)}) {
    const AtPoint at = softmax_at(shard, classes, v);
    std::vector<double> first;
    for (const int threads : {1, 3}) {
      Executor executor(threads);
      LinearRows rows(shard, executor, best_instruction_set());
      std::vector<double> sums(2 * (1 + classes + w.size()));
      rows.certify(Loss::softmax, w, intercepts, scaling.centre, sums);
      if (first.empty()) first = sums;
      EXPECT_EQ(sums, first);
      EXPECT_NEAR(sums[0], at.value, 1e-12 * at.value);
      for (std::size_t k = 0; k < classes; ++k) EXPECT_NEAR(sums[2 * (1 + k)], at.gradient[w.size() + k], 1e-11);
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double scale = scaling.scale[i / classes];
        if (scale == 0) continue;
        EXPECT_NEAR(sums[2 * (1 + classes + i)] / scale, at.gradient[i], 1e-11);
      }
    }
  }
}

}  // namespace
}  // namespace muster
