// The scalar twins of the loops over rows of several margins (kernels/class-inl.h).
//
// With the margin of the row's own class m_y, the largest of the others m_o, and top the larger of the two, all softmax
// needs is e_k = e^(m_k − top) <= 1:
//
//     rest = Σ_{k≠y} e_k      loss = log1p(rest + (e_y − 1)) + (top − m_y)      p_k = e_k / (rest + e_y)
//     residual_y = p_y − 1 = −rest / (rest + e_y)
//
// so that nothing overflows, and neither a loss near 0 nor a residual near 0 is a difference of two numbers near 1.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/kernel_table.h"
#include "kernels/scalar_math.h"

namespace muster {

inline void scalar_softmax_row(double* m, std::size_t classes, std::size_t y, double weight, ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  const double own = m[y];
  double other = kNoMargin;
  for (std::size_t k = 0; k < classes; ++k)
    if (k != y) other = std::max(other, m[k]);
  const double top = std::max(own, other);
  double rest = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    m[k] = scalar_exp(m[k] - top);
    if (k != y) rest += m[k];
  }
  const double total = rest + m[y];
  sums.loss += weight * (scalar_log1p(rest + (m[y] - 1)) + (top - own));
  if (weight > 0 && own <= other) sums.wrong_side += 1;
  for (std::size_t k = 0; k < classes; ++k) m[k] /= total;
  for (std::size_t a = 0; a < classes && sums.overlaps; ++a)
    for (std::size_t b = a + 1; b < classes; ++b) sums.overlaps[a * stride + b] += weight * (m[a] * m[b]);
  for (std::size_t k = 0; k < classes; ++k) m[k] *= weight;
  m[y] = -weight * (rest / total);
}

inline void scalar_bound_row(double* m, std::size_t classes, double weight) {
  double mean = 0;
  for (std::size_t k = 0; k < classes; ++k) mean += m[k];
  mean /= static_cast<double>(classes);
  for (std::size_t k = 0; k < classes; ++k) m[k] = 0.5 * weight * (m[k] - mean);
}

// q becomes s p (q − Σ p q), p being the probabilities of the margins m, which are overwritten.
inline void scalar_hessian_row(double* m, double* q, std::size_t classes, double weight) {
  const double top = *std::max_element(m, m + classes);
  double total = 0, mean = 0;
  for (std::size_t k = 0; k < classes; ++k) total += m[k] = scalar_exp(m[k] - top);
  for (std::size_t k = 0; k < classes; ++k) mean += m[k] / total * q[k];
  for (std::size_t k = 0; k < classes; ++k) q[k] = weight * (m[k] / total) * (q[k] - mean);
}

inline void scalar_class_residuals(ClassFunction function, double* margins, double* at, std::size_t count, RowData data,
                                   std::size_t classes, ClassSums& sums) {
  const std::size_t stride = class_stride(classes);
  for (std::size_t i = 0; i < count; ++i) {
    double* m = margins + i * stride;
    const double weight = data.weights ? data.weights[i] : 1.0;
    switch (function) {
      case ClassFunction::softmax:
        scalar_softmax_row(m, classes, static_cast<std::size_t>(data.targets[i]), weight, sums);
        break;
      case ClassFunction::bound:
        scalar_bound_row(m, classes, weight);
        break;
      case ClassFunction::hessian:
        scalar_hessian_row(at + i * stride, m, classes, weight);
        break;
    }
    std::fill(m + classes, m + stride, 0.0);
    for (std::size_t k = 0; k < classes; ++k) sums.residuals[k] += m[k];
  }
}

inline RowData scalar_row_data(RowData data, std::size_t row) {
  return {data.targets ? data.targets + row : nullptr, data.weights ? data.weights + row : nullptr, nullptr};
}

// Calls visit(j, x_j − centre_j) for a row's entries.
template <class T, class Visit>
void scalar_each_entry(DenseRows<T> rows, std::size_t i, const double* centre, const Visit& visit) {
  for (std::size_t j = 0; j < rows.cols; ++j) visit(j, static_cast<double>(rows.values[i * rows.cols + j]) - centre[j]);
}
template <class T, class Visit>
void scalar_each_entry(SparseRows<T> rows, std::size_t i, const double*, const Visit& visit) {
  for (std::size_t e = rows.row_begin[i]; e < rows.row_begin[i + 1]; ++e)
    visit(rows.columns[e], static_cast<double>(rows.values[e]));
}

template <class Rows>
void scalar_row_margins(Rows rows, std::size_t i, const ClassRequest& request, double* out) {
  const std::size_t stride = class_stride(request.classes);
  std::fill_n(out, stride, 0.0);
  scalar_each_entry(rows, i, request.centre, [&](std::size_t j, double z) {
    for (std::size_t k = 0; k < request.classes; ++k) out[k] += request.u[j * stride + k] * z;
  });
  for (std::size_t k = 0; k < request.classes; ++k) out[k] += request.intercepts[k];
}

template <class Rows>
void scalar_row_products(Rows rows, std::size_t i, const double* residuals, std::size_t classes, const double* centre,
                         double* gradient) {
  const std::size_t stride = class_stride(classes);
  scalar_each_entry(rows, i, centre, [&](std::size_t j, double z) {
    for (std::size_t k = 0; k < classes; ++k) gradient[j * stride + k] += residuals[k] * z;
  });
}

template <class Rows>
void scalar_class_pass(Rows rows, RowData data, ClassRequest request, double* room, ClassSums& sums) {
  const std::size_t classes = request.classes;
  double* at = room + class_stride(classes);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    scalar_row_margins(rows, i, request, room);
    if (request.margins) std::copy_n(room, classes, request.margins + i * classes);
    if (request.at) std::copy_n(request.at + i * classes, classes, at);
    scalar_class_residuals(request.function, room, at, 1, scalar_row_data(data, i), classes, sums);
    scalar_row_products(rows, i, room, classes, request.centre, sums.gradient);
  }
}

template <class Rows>
void scalar_class_margins(Rows rows, ClassRequest request, double* room) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    scalar_row_margins(rows, i, request, room);
    std::copy_n(room, request.classes, request.margins + i * request.classes);
  }
}

template <class Rows>
void scalar_class_products(Rows rows, const double* residuals, std::size_t classes, const double* centre, double*,
                           double* gradient) {
  for (std::size_t i = 0; i < rows.rows; ++i)
    scalar_row_products(rows, i, residuals + i * class_stride(classes), classes, centre, gradient);
}

}  // namespace muster
