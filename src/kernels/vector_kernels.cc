// The vector kernels, compiled once for each instruction set with vectors. The static target is Highway's one-lane
// fallback whatever the compiler's flags: `scalar` is the twin in scalar_kernels.cc, so that pass compiles nothing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_kernels.cc"
#ifndef HWY_BASELINE_TARGETS
#define HWY_BASELINE_TARGETS HWY_SCALAR
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/tables.h"

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
#include "kernels/class-inl.h"
#include "kernels/dense-inl.h"
#include "kernels/dense_pass-inl.h"
#include "kernels/double_double-inl.h"
#include "kernels/gram-inl.h"
#include "kernels/loss-inl.h"
#include "kernels/sparse-inl.h"

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

template <class T>
constexpr DenseKernels<T> dense_kernels() {
  return {pass<T>,   margins_of_rows<T>, add_centred<T>,         add_centred_squares<T>, centre_rows<T>,
          ranges<T>, class_pass<T>,      dense_class_margins<T>, dense_class_products<T>};
}
template <class T>
constexpr SparseKernels<T> sparse_kernels() {
  return {sparse_margins<T>,    sparse_add_multiples<T>, sparse_dot<T>,           sparse_add_multiple<T>,
          sparse_class_pass<T>, sparse_class_margins<T>, sparse_class_products<T>};
}

constexpr KernelTable kTable{HWY_TARGET == HWY_AVX2 ? InstructionSet::avx2 : InstructionSet::avx512,
                             dense_kernels<double>(),
                             dense_kernels<float>(),
                             sparse_kernels<double>(),
                             sparse_kernels<float>(),
                             residuals,
                             logistic_curvatures,
                             class_residuals,
                             exp_array,
                             log1p_array,
                             dot,
                             subtract,
                             add_multiple,
                             add,
                             add_outer,
                             add_gram};

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace muster {

const KernelTable* avx2_kernel_table() {
#if HWY_TARGETS & HWY_AVX2
  return &N_AVX2::kTable;
#else
  return nullptr;
#endif
}

const KernelTable* avx512_kernel_table() {
#if HWY_TARGETS & HWY_AVX3
  return &N_AVX3::kTable;
#else
  return nullptr;
#endif
}

}  // namespace muster
#endif
