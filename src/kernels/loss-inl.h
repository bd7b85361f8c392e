// Margins to residuals and losses, a vector of rows at a time. Formulas: see the scalar twin.
#include <hwy/contrib/math/math-inl.h>

#include "kernels/kernel_table.h"
#include "kernels/vectors-inl.h"

#if defined(MUSTER_KERNELS_LOSS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_LOSS_INL_H_
#undef MUSTER_KERNELS_LOSS_INL_H_
#else
#define MUSTER_KERNELS_LOSS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

// Lane-wise PassSums.
struct LaneSums {
  Vector loss, residual, wrong_side, uncertainty;

  // Written out, because an implicit constructor is not compiled for the instruction set.
  HWY_INLINE LaneSums() {
    loss = hn::Zero(Tag());
    residual = hn::Zero(Tag());
    wrong_side = hn::Zero(Tag());
    uncertainty = hn::Zero(Tag());
  }

  HWY_INLINE void add_to(PassSums& sums) const {
    sums.loss += sum_of_lanes(loss);
    sums.residual += sum_of_lanes(residual);
    sums.wrong_side += sum_of_lanes(wrong_side);
    sums.uncertainty += sum_of_lanes(uncertainty);
  }
};

HWY_INLINE Vector logistic_residual(Vector m, Vector y, Vector weight, LaneSums& sums) {
  const Tag d;
  const Vector one = hn::Set(d, 1.0);
  const Vector side = hn::Sub(hn::Add(y, y), one);
  const Vector z = hn::Mul(side, m);
  const Vector e = hn::Exp(d, hn::Neg(hn::Abs(z)));
  const Vector other = hn::Div(one, hn::Add(one, e));
  const auto right = hn::Ge(z, hn::Zero(d));
  const Vector wrong = hn::Mul(hn::IfThenElse(right, e, one), other);
  const Vector loss = hn::Add(hn::IfThenZeroElse(right, hn::Neg(z)), hn::Log1p(d, e));
  sums.loss = hn::MulAdd(weight, loss, sums.loss);
  sums.uncertainty = hn::MulAdd(weight, hn::Mul(hn::Mul(e, other), other), sums.uncertainty);
  const auto counts = hn::And(hn::Gt(weight, hn::Zero(d)), hn::Le(z, hn::Zero(d)));
  sums.wrong_side = hn::Add(sums.wrong_side, hn::IfThenElseZero(counts, one));
  return hn::Neg(hn::Mul(weight, hn::Mul(side, wrong)));
}

// One vector of rows; rows past the end come with weight 0 and finite margin and target, and add nothing.
HWY_INLINE Vector residual(RowFunction function, Vector m, Vector y, Vector weight, LaneSums& sums) {
  Vector r;
  switch (function) {
    case RowFunction::squared: {
      const Vector difference = hn::Sub(m, y);
      r = hn::Mul(weight, difference);
      sums.loss = hn::MulAdd(hn::Mul(hn::Set(Tag(), 0.5), r), difference, sums.loss);
      break;
    }
    case RowFunction::logistic:
      r = logistic_residual(m, y, weight, sums);
      break;
    default:
      r = hn::Mul(weight, m);
      break;
  }
  sums.residual = hn::Add(sums.residual, r);
  return r;
}

// Residuals of rows [0, count) of margins, to `out`, which may be margins itself.
HWY_INLINE void residual_rows(RowFunction function, const double* margins, std::size_t count, RowData data, double* out,
                              LaneSums& sums) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t i = 0; i < count; i += lanes) {
    const First rows{HWY_MIN(lanes, count - i)};
    const Vector m = rows.get(margins + i);
    const Vector y = function == RowFunction::product ? hn::Zero(d) : rows.get(data.targets + i);
    const Vector weight =
        data.weights ? rows.get(data.weights + i) : hn::IfThenElseZero(hn::FirstN(d, rows.count), hn::Set(d, 1.0));
    rows.put(residual(function, m, y, weight, sums), out + i);
  }
}

void residuals(RowFunction function, const double* margins, std::size_t count, RowData data, double* out,
               PassSums& sums) {
  LaneSums lane_sums;
  residual_rows(function, margins, count, data, out, lane_sums);
  lane_sums.add_to(sums);
}

void logistic_curvatures(const double* margins, std::size_t count, const double* weights, double* out) {
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  const Vector one = hn::Set(d, 1.0);
  for (std::size_t i = 0; i < count; i += lanes) {
    const First part{HWY_MIN(lanes, count - i)};
    const Vector e = hn::Exp(d, hn::Neg(hn::Abs(part.get(margins + i))));
    const Vector other = hn::Div(one, hn::Add(one, e));
    const Vector weight = weights ? part.get(weights + i) : one;
    part.put(hn::Mul(weight, hn::Mul(hn::Mul(e, other), other)), out + i);
  }
}

void exp_array(const double* x, std::size_t count, double* out) {
  const std::size_t lanes = hn::Lanes(Tag());
  for (std::size_t i = 0; i < count; i += lanes) {
    const First part{HWY_MIN(lanes, count - i)};
    part.put(hn::Exp(Tag(), part.get(x + i)), out + i);
  }
}

void log1p_array(const double* x, std::size_t count, double* out) {
  const std::size_t lanes = hn::Lanes(Tag());
  for (std::size_t i = 0; i < count; i += lanes) {
    const First part{HWY_MIN(lanes, count - i)};
    part.put(hn::Log1p(Tag(), part.get(x + i)), out + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
