// Random shards for the tests, and slow references in quadruple precision.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "data/shard.h"
#include "muster/objective.h"

namespace muster::testing {

struct Shape {
  std::size_t rows = 0, cols = 0;
  double density = 1;  // share of values that are not 0
  double offset = 0;   // added to every value of every third column
  bool weights = false;
  bool offsets = false;
  bool classes = false;  // targets 0 or 1
  std::uint64_t seed = 1;
};

// Values have few bits, so that float32 storage holds them exactly (as long as offset is 0).
inline Shard dense_shard(const Shape& shape) {
  std::mt19937_64 random(shape.seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Shard shard;
  DenseMatrix matrix{shape.rows, shape.cols, AlignedVector<double>(shape.rows * shape.cols)};
  auto& values = std::get<0>(matrix.values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = uniform(random) < shape.density ? std::round(normal(random) * 4096) / 4096 : 0.0;
    values[i] = x + (i % std::max<std::size_t>(shape.cols, 1) % 3 == 0 ? shape.offset : 0.0);
  }
  shard.matrix = std::move(matrix);
  shard.targets.resize(shape.rows);
  for (double& y : shard.targets) y = shape.classes ? static_cast<double>(uniform(random) < 0.4) : normal(random);
  if (shape.weights) {
    shard.weights.resize(shape.rows);
    for (double& s : shard.weights) s = uniform(random) < 0.1 ? 0.0 : uniform(random) * 3;
  }
  if (shape.offsets) {
    shard.offsets.resize(shape.rows);
    for (double& o : shard.offsets) o = normal(random);
  }
  return shard;
}

inline Shard as_float32(Shard shard) {
  auto& matrix = std::get<DenseMatrix>(shard.matrix);
  const auto& values = std::get<0>(matrix.values);
  matrix.values = AlignedVector<float>(values.begin(), values.end());
  return shard;
}

inline Shard as_sparse(Shard shard, bool float32 = false) {
  const auto dense = std::get<DenseMatrix>(shard.matrix);
  const auto& values = std::get<0>(dense.values);
  SparseMatrix sparse;
  sparse.rows = dense.rows;
  sparse.cols = dense.cols;
  AlignedVector<double> kept;
  sparse.row_begin.push_back(0);
  for (std::size_t i = 0; i < dense.rows; ++i) {
    for (std::size_t j = 0; j < dense.cols; ++j) {
      if (values[i * dense.cols + j] == 0) continue;
      sparse.columns.push_back(static_cast<std::uint32_t>(j));
      kept.push_back(values[i * dense.cols + j]);
    }
    sparse.row_begin.push_back(kept.size());
  }
  if (float32) {
    sparse.values = AlignedVector<float>(kept.begin(), kept.end());
  } else {
    sparse.values = std::move(kept);
  }
  shard.matrix = std::move(sparse);
  return shard;
}

inline double value_at(const Shard& shard, std::size_t i, std::size_t j) {
  const auto& matrix = std::get<DenseMatrix>(shard.matrix);
  return std::get<0>(matrix.values)[i * matrix.cols + j];
}
inline double weight_at(const Shard& shard, std::size_t i) {
  return shard.weights.empty() ? 1.0 : shard.weights[i];
}
inline double offset_at(const Shard& shard, std::size_t i) {
  return shard.offsets.empty() ? 0.0 : shard.offsets[i];
}

// M of muster/objective.h, packed, for a dense float64 shard; and Σ of the terms' absolute values in `sizes`.
inline std::vector<__float128> naive_statistics(const Shard& shard, const std::vector<double>& centre,
                                                std::vector<__float128>& sizes) {
  const std::size_t d = shard.cols(), p = d + 2;
  std::vector<__float128> sums(p * (p + 1) / 2, 0), z(p);
  sizes.assign(sums.size(), 0);
  for (std::size_t i = 0; i < shard.rows(); ++i) {
    z[0] = 1;
    for (std::size_t j = 0; j < d; ++j) z[1 + j] = static_cast<__float128>(value_at(shard, i, j)) - centre[j];
    for (const PowerFeature& power : shard.powers) {
      __float128 x = 1;
      for (int k = 0; k < power.degree; ++k) x *= value_at(shard, i, power.base);
      z[1 + power.feature] = x - centre[power.feature];
    }
    z[d + 1] = static_cast<__float128>(shard.targets[i]) - offset_at(shard, i) - centre[d];
    std::size_t entry = 0;
    for (std::size_t a = 0; a < p; ++a) {
      for (std::size_t b = a; b < p; ++b, ++entry) {
        const __float128 term = weight_at(shard, i) * z[a] * z[b];
        sums[entry] += term;
        sizes[entry] += term < 0 ? -term : term;
      }
    }
  }
  return sums;
}

}  // namespace muster::testing
