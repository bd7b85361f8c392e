// Sparse rows as of texts: columns by Zipf's law with Mandelbrot's shift, p ∝ 1/(rank + 2.7), their numbers in no
// order; so many different ones a row; positive values, rows of unit length; targets drawn from a logistic model.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "data/shard.h"

namespace muster::bench {

inline Shard zipf_rows(std::size_t rows, std::size_t cols, std::size_t per_row, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::normal_distribution<double> normal;
  std::vector<std::uint32_t> number(cols);  // by rank
  for (std::size_t j = 0; j < cols; ++j) number[j] = static_cast<std::uint32_t>(j);
  std::shuffle(number.begin(), number.end(), random);
  std::vector<double> truth(cols);
  for (double& t : truth) t = 8 * normal(random);

  Shard shard;
  SparseMatrix matrix{rows, cols, {}, {}, {}};
  AlignedVector<double> values(rows * per_row);
  matrix.columns.resize(rows * per_row);
  matrix.row_begin.resize(rows + 1);
  shard.targets.resize(rows);
  const double all = std::log(static_cast<double>(cols) / 2.7 + 1);
  std::vector<std::uint32_t> row;
  for (std::size_t i = 0; i < rows; ++i) {
    row.clear();
    while (row.size() < per_row) {
      const double rank = 2.7 * std::expm1(uniform(random) * all);  // the law's inverse
      const std::uint32_t column = number[std::min(cols - 1, static_cast<std::size_t>(rank))];
      if (std::find(row.begin(), row.end(), column) == row.end()) row.push_back(column);
    }
    std::sort(row.begin(), row.end());
    double* value = values.data() + i * per_row;
    double square = 0, margin = 0;
    for (std::size_t k = 0; k < per_row; ++k) {
      value[k] = 0.2 + uniform(random);
      square += value[k] * value[k];
    }
    for (std::size_t k = 0; k < per_row; ++k) {
      value[k] = static_cast<float>(value[k] / std::sqrt(square));
      margin += value[k] * truth[row[k]];
    }
    std::copy(row.begin(), row.end(), matrix.columns.begin() + static_cast<std::ptrdiff_t>(i * per_row));
    matrix.row_begin[i + 1] = matrix.row_begin[i] + per_row;
    shard.targets[i] = uniform(random) < 1 / (1 + std::exp(-margin)) ? 1 : 0;
  }
  matrix.values = std::move(values);
  shard.matrix = std::move(matrix);
  return shard;
}

}  // namespace muster::bench
