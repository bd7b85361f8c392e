// Cholesky factorisation with complete pivoting of a symmetric positive semidefinite matrix, in double or in
// double-double, and what is solved with it.
//
//     PᵀAP = [L11; L21]·[L11ᵀ L21ᵀ] + (0, Schur complement below the tolerance),   L11 lower triangular of order rank.
//
// Our own and not LAPACK's dpstrf for two reasons: the same lines serve double-double, and the result is the same bits
// on every machine, which a BLAS that picks its kernels by the processor does not give.
//
// Source: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 10.3 (pivoting, rank), algorithm
// 10.2 in the blocked form of C. Lucas, "LAPACK-style codes for level 2 and 3 pivoted Cholesky factorizations" (2004).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {

template <class T>
struct PivotedCholesky {
  std::size_t order = 0;
  std::size_t rank = 0;
  std::vector<std::size_t> pivots;  // row k of the factor is row pivots[k] of A; the first `rank` are independent
  std::vector<T> factor;            // order × order, row-major; entries (i, j), j <= min(i, rank − 1), are L

  const T& at(std::size_t i, std::size_t j) const { return factor[i * order + j]; }
};

namespace detail {

// Rows [begin, order) of the trailing lower triangle −= panel · panelᵀ, panel being columns [first, begin). The panel
// is copied transposed so that the inner loop runs along rows; each entry sees its terms in ascending column order.
void subtract_panel(std::vector<double>& a, std::size_t order, std::size_t first, std::size_t begin,
                    const std::function<void()>& between_rows);
void subtract_panel(std::vector<DoubleDouble>& a, std::size_t order, std::size_t first, std::size_t begin,
                    const std::function<void()>& between_rows);

// Swaps rows and columns j < p of a symmetric matrix of which the lower triangle is kept.
template <class T>
void swap_symmetric(std::vector<T>& a, std::size_t n, std::size_t j, std::size_t p) {
  for (std::size_t k = 0; k < j; ++k) std::swap(a[j * n + k], a[p * n + k]);
  for (std::size_t k = j + 1; k < p; ++k) std::swap(a[k * n + j], a[p * n + k]);
  for (std::size_t k = p + 1; k < n; ++k) std::swap(a[k * n + j], a[k * n + p]);
  std::swap(a[j * n + j], a[p * n + p]);
}

}  // namespace detail

// a: order × order row-major, lower triangle read, consumed. A column whose remaining pivot is at most tolerance is
// dependent on those before it: with a unit diagonal the pivot is the square of the distance of the column from their
// span, over its own norm squared. between is called now and then, so that a long factorisation can let messages move.
template <class T>
PivotedCholesky<T> factorise(std::vector<T> a, std::size_t order, double tolerance,
                             const std::function<void()>& between = {}) {
  using std::sqrt;
  constexpr std::size_t kPanel = 48;
  MUSTER_CHECK(a.size() == order * order, "matrix of another order");
  PivotedCholesky<T> result{order, order, std::vector<std::size_t>(order), std::move(a)};
  std::iota(result.pivots.begin(), result.pivots.end(), std::size_t{0});
  std::vector<T>& l = result.factor;
  std::vector<T> eliminated(order);
  for (std::size_t first = 0; first < order; first += kPanel) {
    const std::size_t end = std::min(first + kPanel, order);
    std::fill(eliminated.begin(), eliminated.end(), T(0.0));
    for (std::size_t j = first; j < end; ++j) {
      std::size_t best = j;
      for (std::size_t i = j; i < order; ++i) {
        if (j > first) eliminated[i] += l[i * order + j - 1] * l[i * order + j - 1];
        if (l[i * order + i] - eliminated[i] > l[best * order + best] - eliminated[best]) best = i;
      }
      const T pivot = l[best * order + best] - eliminated[best];
      if (!(static_cast<double>(pivot) > tolerance)) {
        result.rank = j;
        return result;
      }
      if (best != j) {
        detail::swap_symmetric(l, order, j, best);
        std::swap(eliminated[j], eliminated[best]);
        std::swap(result.pivots[j], result.pivots[best]);
      }
      const T root = sqrt(pivot);
      l[j * order + j] = root;
      for (std::size_t i = j + 1; i < order; ++i) {
        T value = l[i * order + j];
        for (std::size_t k = first; k < j; ++k) value -= l[i * order + k] * l[j * order + k];
        l[i * order + j] = value / root;
      }
    }
    if (end < order) detail::subtract_panel(l, order, first, end, between);
  }
  return result;
}

// x ← L11⁻¹ x, for the first `rank` entries of x.
template <class T>
void solve_lower(const PivotedCholesky<T>& c, std::span<T> x) {
  for (std::size_t i = 0; i < c.rank; ++i) {
    T value = x[i];
    for (std::size_t k = 0; k < i; ++k) value -= c.at(i, k) * x[k];
    x[i] = value / c.at(i, i);
  }
}

// x ← L11⁻ᵀ x, for the first `rank` entries of x.
template <class T>
void solve_lower_transposed(const PivotedCholesky<T>& c, std::span<T> x) {
  for (std::size_t i = c.rank; i-- > 0;) {
    x[i] /= c.at(i, i);
    for (std::size_t k = 0; k < i; ++k) x[k] -= c.at(i, k) * x[i];
  }
}

// x ← (L11 L11ᵀ)⁻¹ x.
template <class T>
void solve_factored(const PivotedCholesky<T>& c, std::span<T> x) {
  solve_lower(c, x);
  solve_lower_transposed(c, x);
}

// The solution x of Ax = b, b in the range of A, that has the smallest |Ex|, E = diag(weights). b and x in A's own
// order.
template <class T>
std::vector<T> solve_minimum_norm(const PivotedCholesky<T>& c, std::span<const T> b, std::span<const double> weights);

extern template std::vector<double> solve_minimum_norm(const PivotedCholesky<double>&, std::span<const double>,
                                                       std::span<const double>);
extern template std::vector<DoubleDouble> solve_minimum_norm(const PivotedCholesky<DoubleDouble>&,
                                                             std::span<const DoubleDouble>, std::span<const double>);

// An estimate, from below and seldom by more than a factor 3, of the 1-norm of an n × n matrix known by its products.
// apply and apply_transposed overwrite their argument by the product.
//
// Source: W. W. Hager, SIAM J. Sci. Stat. Comput. 5 (1984); N. J. Higham, ACM TOMS 14(4) (1988), algorithm 674.
double estimate_one_norm(std::size_t n, const std::function<void(std::span<double>)>& apply,
                         const std::function<void(std::span<double>)>& apply_transposed);

}  // namespace muster
