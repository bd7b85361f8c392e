#include "model/margins.h"

#include <cmath>
#include <cstdint>
#include <variant>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {

namespace {

// What a row's margin is made of, in double-double and, for the case that overflows, in double.
struct Sum {
  DoubleDouble exact;
  double plain = 0;

  void add(double a, double b) {
    exact += two_product(a, b);
    plain += a * b;
  }
  void add(double a, DoubleDouble b) {
    exact += b * a;
    plain += a * static_cast<double>(b);
  }
  double value() const {
    const double sum = static_cast<double>(exact);
    return std::isfinite(sum) ? sum : plain;
  }
};

// For every column: the power it is, or none.
std::vector<const PowerFeature*> powers_by_column(const Shard& block) {
  std::vector<const PowerFeature*> powers(block.cols(), nullptr);
  for (const PowerFeature& power : block.powers) powers[power.feature] = &power;
  return powers;
}

template <class Value>
void dense_margins(const DenseMatrix& matrix, const RowArray<Value>& values, const Shard& block,
                   std::span<const double> w, std::span<Sum> sums) {
  const std::vector<const PowerFeature*> powers = powers_by_column(block);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    const Value* row = values.data() + i * matrix.cols;
    Sum& sum = sums[i];
    for (std::size_t j = 0; j < matrix.cols; ++j) {
      if (powers[j] == nullptr) {
        sum.add(w[j], static_cast<double>(row[j]));
      } else {
        sum.add(w[j], power(static_cast<double>(row[powers[j]->base]), powers[j]->degree));
      }
    }
  }
}

template <class Value>
void sparse_margins(const SparseMatrix& matrix, const RowArray<Value>& values, std::span<const double> w,
                    std::span<Sum> sums) {
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::uint64_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k) {
      sums[i].add(w[matrix.columns[k]], static_cast<double>(values[k]));
    }
  }
}

}  // namespace

void margins(std::span<const double> w, double intercept, const Shard& block, std::span<double> out) {
  MUSTER_CHECK(w.size() == block.cols(), "a model has one coefficient a column");
  MUSTER_CHECK(out.size() == block.rows(), "there is one margin a row");
  std::vector<Sum> sums(block.rows());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i].add(intercept, 1.0);
    if (!block.offsets.empty()) sums[i].add(block.offsets[i], 1.0);
  }
  if (const auto* dense = std::get_if<DenseMatrix>(&block.matrix)) {
    std::visit([&](const auto& values) { dense_margins(*dense, values, block, w, sums); }, dense->values);
  } else {
    const auto& sparse = std::get<SparseMatrix>(block.matrix);
    std::visit([&](const auto& values) { sparse_margins(sparse, values, w, sums); }, sparse.values);
  }
  for (std::size_t i = 0; i < sums.size(); ++i) out[i] = sums[i].value();
}

double probability(double z) {
  if (z >= 0) return 1 / (1 + std::exp(-z));
  const double e = std::exp(z);
  return e / (1 + e);
}

}  // namespace muster
