// What the vector kernels share: loading a whole or partial vector of float64 from either storage.
//
// Included once per instruction set by vector_kernels.cc; the guard is toggled by Highway's foreach_target.h.
#include <hwy/highway.h>

#include <cstddef>

#if defined(MUSTER_KERNELS_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MUSTER_KERNELS_VECTORS_INL_H_
#undef MUSTER_KERNELS_VECTORS_INL_H_
#else
#define MUSTER_KERNELS_VECTORS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<double>;
using Vector = hn::Vec<Tag>;
using FloatTag = hn::Rebind<float, Tag>;

HWY_INLINE Vector load(const double* from) {
  return hn::LoadU(Tag(), from);
}
HWY_INLINE Vector load(const float* from) {
  return hn::PromoteTo(Tag(), hn::LoadU(FloatTag(), from));
}

// The first `count` values; the rest 0. Reads nothing past them.
HWY_INLINE Vector load_first(const double* from, std::size_t count) {
  return hn::MaskedLoad(hn::FirstN(Tag(), count), Tag(), from);
}
HWY_INLINE Vector load_first(const float* from, std::size_t count) {
  return hn::PromoteTo(Tag(), hn::MaskedLoad(hn::FirstN(FloatTag(), count), FloatTag(), from));
}

HWY_INLINE void store(Vector v, double* to) {
  hn::StoreU(v, Tag(), to);
}
HWY_INLINE void store_first(Vector v, std::size_t count, double* to) {
  hn::BlendedStore(v, hn::FirstN(Tag(), count), Tag(), to);
}

// Lanes added in the fixed order of Highway's SumOfLanes.
HWY_INLINE double sum_of_lanes(Vector v) {
  return hn::GetLane(hn::SumOfLanes(Tag(), v));
}

// One vector of a column range: the last one of a row is partial. Written so that a loop body exists once.
struct Whole {
  template <class T>
  HWY_INLINE Vector get(const T* from) const {
    return load(from);
  }
  HWY_INLINE void put(Vector v, double* to) const { store(v, to); }
};
struct First {
  std::size_t count;
  template <class T>
  HWY_INLINE Vector get(const T* from) const {
    return load_first(from, count);
  }
  HWY_INLINE void put(Vector v, double* to) const { store_first(v, count, to); }
};

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#endif
