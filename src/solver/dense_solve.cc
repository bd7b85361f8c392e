#include "solver/dense_solve.h"

namespace muster {
namespace detail {
namespace {

constexpr std::size_t kRowsBetween = 64;

// row[j] −= Σ_k left[k]·panel[k][j]. Compiled once more for processors with fused multiply-add, which double-double
// products are made of; every operation is exact as written, so both versions give the same bits.
[[gnu::target_clones("arch=haswell", "default")]] void subtract_products(double* row, const double* left,
                                                                         const double* panel, std::size_t depth,
                                                                         std::size_t stride, std::size_t length) {
  for (std::size_t k = 0; k < depth; ++k) {
    const double factor = left[k];
    const double* right = panel + k * stride;
    for (std::size_t j = 0; j < length; ++j) row[j] -= factor * right[j];
  }
}

[[gnu::target_clones("arch=haswell", "default")]] void subtract_products(DoubleDouble* row, const DoubleDouble* left,
                                                                         const DoubleDouble* panel, std::size_t depth,
                                                                         std::size_t stride, std::size_t length) {
  for (std::size_t k = 0; k < depth; ++k) {
    const DoubleDouble factor = left[k];
    const DoubleDouble* right = panel + k * stride;
    for (std::size_t j = 0; j < length; ++j) row[j] -= factor * right[j];
  }
}

template <class T>
void subtract_panel_of(std::vector<T>& a, std::size_t order, std::size_t first, std::size_t begin,
                       const std::function<void()>& between_rows) {
  const std::size_t depth = begin - first, length = order - begin;
  std::vector<T> panel(depth * length);
  for (std::size_t j = 0; j < length; ++j)
    for (std::size_t k = 0; k < depth; ++k) panel[k * length + j] = a[(begin + j) * order + first + k];
  for (std::size_t i = 0; i < length; ++i) {
    T* row = a.data() + (begin + i) * order;
    subtract_products(row + begin, row + first, panel.data(), depth, length, i + 1);
    if (between_rows && i % kRowsBetween == 0) between_rows();
  }
}

}  // namespace

void subtract_panel(std::vector<double>& a, std::size_t order, std::size_t first, std::size_t begin,
                    const std::function<void()>& between_rows) {
  subtract_panel_of(a, order, first, begin, between_rows);
}
void subtract_panel(std::vector<DoubleDouble>& a, std::size_t order, std::size_t first, std::size_t begin,
                    const std::function<void()>& between_rows) {
  subtract_panel_of(a, order, first, begin, between_rows);
}

namespace {

// W = L21 L11⁻¹, (order − rank) × rank: rows below the factor as combinations of the independent ones. The null space
// of PᵀAP is spanned by [−Wᵀ; I], the range by [I; W].
template <class T>
std::vector<T> dependence(const PivotedCholesky<T>& c) {
  const std::size_t dependent = c.order - c.rank;
  std::vector<T> w(dependent * c.rank);
  for (std::size_t i = 0; i < dependent; ++i) {
    const std::span<T> row(w.data() + i * c.rank, c.rank);
    for (std::size_t k = 0; k < c.rank; ++k) row[k] = c.at(c.rank + i, k);
    solve_lower_transposed(c, row);
  }
  return w;
}

template <class T>
void solve_positive_definite(std::vector<T> gram, std::size_t order, std::vector<T>& x) {
  const PivotedCholesky<T> c = factorise(std::move(gram), order, 0.0);
  MUSTER_CHECK(c.rank == order, "a Gram matrix with the identity in it is positive definite");
  std::vector<T> permuted(order);
  for (std::size_t k = 0; k < order; ++k) permuted[k] = x[c.pivots[k]];
  solve_factored(c, std::span<T>(permuted));
  for (std::size_t k = 0; k < order; ++k) x[c.pivots[k]] = permuted[k];
}

// Takes from x, in factor order, its part along the null space, in the inner product of E². Cheaper where few columns
// depend.
template <class T>
void subtract_null_part(const PivotedCholesky<T>& c, const std::vector<T>& w, const std::vector<T>& squares,
                        std::vector<T>& x) {
  const std::size_t r = c.rank, q = c.order - r;
  std::vector<T> gram(q * q), along(q);
  for (std::size_t i = 0; i < q; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      T sum = i == j ? squares[r + i] : T(0.0);
      for (std::size_t k = 0; k < r; ++k) sum += w[i * r + k] * squares[k] * w[j * r + k];
      gram[i * q + j] = sum;
    }
    T sum = 0.0;
    for (std::size_t k = 0; k < r; ++k) sum -= w[i * r + k] * squares[k] * x[k];
    along[i] = sum;
  }
  solve_positive_definite(std::move(gram), q, along);
  for (std::size_t i = 0; i < q; ++i) {
    for (std::size_t k = 0; k < r; ++k) x[k] += w[i * r + k] * along[i];
    x[r + i] = -along[i];
  }
}

// The same result from the other side: x = E⁻²[I; W]y is orthogonal, in E², to the null space; y solves
// (E1⁻² + Wᵀ E2⁻² W) y = x1. Cheaper where few columns are independent.
template <class T>
void project_on_range(const PivotedCholesky<T>& c, const std::vector<T>& w, const std::vector<T>& squares,
                      std::vector<T>& x) {
  const std::size_t r = c.rank, q = c.order - r;
  std::vector<T> gram(r * r), y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(r));
  for (std::size_t i = 0; i < r; ++i) gram[i * r + i] = T(1.0) / squares[i];
  for (std::size_t k = 0; k < q; ++k) {
    const T inverse = T(1.0) / squares[r + k];
    for (std::size_t i = 0; i < r; ++i)
      for (std::size_t j = 0; j <= i; ++j) gram[i * r + j] += w[k * r + i] * inverse * w[k * r + j];
  }
  solve_positive_definite(std::move(gram), r, y);
  for (std::size_t i = 0; i < r; ++i) x[i] = y[i] / squares[i];
  for (std::size_t k = 0; k < q; ++k) {
    T sum = 0.0;
    for (std::size_t i = 0; i < r; ++i) sum += w[k * r + i] * y[i];
    x[r + k] = sum / squares[r + k];
  }
}

}  // namespace
}  // namespace detail

template <class T>
std::vector<T> solve_minimum_norm(const PivotedCholesky<T>& c, std::span<const T> b, std::span<const double> weights) {
  MUSTER_CHECK(b.size() == c.order && weights.size() == c.order, "vector of another order");
  std::vector<T> x(c.order);
  for (std::size_t k = 0; k < c.rank; ++k) x[k] = b[c.pivots[k]];
  solve_factored(c, std::span<T>(x));
  if (c.rank < c.order && c.rank > 0) {
    std::vector<T> squares(c.order);
    for (std::size_t k = 0; k < c.order; ++k) squares[k] = T(weights[c.pivots[k]]) * T(weights[c.pivots[k]]);
    const std::vector<T> w = detail::dependence(c);
    if (c.order - c.rank <= c.rank) {
      detail::subtract_null_part(c, w, squares, x);
    } else {
      detail::project_on_range(c, w, squares, x);
    }
  }
  std::vector<T> result(c.order);
  for (std::size_t k = 0; k < c.order; ++k) result[c.pivots[k]] = x[k];
  return result;
}

template std::vector<double> solve_minimum_norm(const PivotedCholesky<double>&, std::span<const double>,
                                                std::span<const double>);
template std::vector<DoubleDouble> solve_minimum_norm(const PivotedCholesky<DoubleDouble>&,
                                                      std::span<const DoubleDouble>, std::span<const double>);

namespace {

double sum_of_magnitudes(std::span<const double> x) {
  double sum = 0;
  for (double value : x) sum += std::abs(value);
  return sum;
}

}  // namespace

double estimate_one_norm(std::size_t n, const std::function<void(std::span<double>)>& apply,
                         const std::function<void(std::span<double>)>& apply_transposed) {
  if (n == 0) return 0;
  std::vector<double> x(n, 1.0 / static_cast<double>(n));
  double estimate = 0;
  std::size_t last = n;
  for (int step = 0; step < 5; ++step) {
    apply(x);
    const double norm = sum_of_magnitudes(x);
    if (step > 0 && norm <= estimate) break;
    estimate = norm;
    for (double& value : x) value = value < 0 ? -1 : 1;
    apply_transposed(x);
    const auto largest =
        std::max_element(x.begin(), x.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    const auto column = static_cast<std::size_t>(largest - x.begin());
    if (column == last) break;
    last = column;
    std::fill(x.begin(), x.end(), 0.0);
    x[column] = 1;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double slope = n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
    x[i] = (i % 2 == 0 ? 1 : -1) * (1 + slope);
  }
  apply(x);
  return std::max(estimate, 2 * sum_of_magnitudes(x) / (3 * static_cast<double>(n)));
}

}  // namespace muster
