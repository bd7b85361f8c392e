// Arrays that grow row by row and are given away as those of a shard, without being copied for either.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

#include "data/pages.h"
#include "data/row_array.h"
#include "muster/options.h"

namespace muster {

template <class T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  T* data() { return reinterpret_cast<T*>(buffer_.data()); }
  std::size_t size() const { return size_; }
  // So many more elements, uninitialised; where the first of them lies.
  T* extend(std::size_t count) {
    buffer_.make_room((size_ + count) * sizeof(T));
    size_ += count;
    return data() + size_ - count;
  }
  template <class From>
  void append(const From& more) {
    std::copy(more.begin(), more.end(), extend(more.size()));
  }
  // The first elements; those from `rest` on stay. Memory that is let go is taken for what grows next.
  RowArray<T> take(std::size_t count, std::size_t rest) {
    PageBuffer whole = std::exchange(buffer_, pool_.take());
    const T* elements = reinterpret_cast<const T*>(whole.data());
    const std::size_t size = std::exchange(size_, 0);
    if (rest < size) std::memcpy(extend(size - rest), elements + rest, (size - rest) * sizeof(T));
    return RowArray<T>::seen({elements, count}, pool_.lend(std::move(whole)));
  }
  RowArray<T> take(std::size_t count) { return take(count, count); }
  // The same numbers in a wider type and the same memory.
  template <class Wide>
  GrowingArray<Wide> widened() && {
    static_assert(sizeof(Wide) > sizeof(T));
    GrowingArray<Wide> wide;
    wide.buffer_ = std::move(buffer_);
    wide.pool_ = pool_;
    wide.extend(std::exchange(size_, 0));
    for (std::size_t i = wide.size_; i-- > 0;) {
      T narrow;
      std::memcpy(&narrow, wide.buffer_.data() + i * sizeof(T), sizeof(T));
      wide.data()[i] = static_cast<Wide>(narrow);
    }
    return wide;
  }

 private:
  template <class Other>
  friend class GrowingArray;

  PageBuffer buffer_;
  BufferPool pool_;
  std::size_t size_ = 0;
};

// Doubles, kept as floats as long as that changes none, or as the storage says.
class GrowingNumbers {
 public:
  using Values = std::variant<RowArray<double>, RowArray<float>>;

  explicit GrowingNumbers(StorageChoice storage) : storage_(storage), single_(storage != StorageChoice::float64) {}

  std::size_t size() const { return single_ ? floats_.size() : doubles_.size(); }
  std::size_t width() const { return single_ ? sizeof(float) : sizeof(double); }
  // Whether it matters that more of them survive as floats.
  bool may_widen() const { return storage_ == StorageChoice::automatic && single_; }
  // Calls write(to) for so many more, to a float* or a double*.
  template <class Write>
  void extend(std::size_t count, bool survive, Write write) {
    if (may_widen() && !survive) widen();
    if (single_) {
      write(floats_.extend(count));
    } else {
      write(doubles_.extend(count));
    }
  }
  // The first of them; the others stay, as floats or not as they are.
  Values take(std::size_t count) {
    Values taken = single_ ? Values(floats_.take(count)) : Values(doubles_.take(count));
    if (size() == 0) single_ = storage_ != StorageChoice::float64;
    return taken;
  }

 private:
  void widen() {
    if (floats_.size() > 0) doubles_ = std::move(floats_).widened<double>();
    single_ = false;
  }

  StorageChoice storage_;
  bool single_;
  GrowingArray<float> floats_;
  GrowingArray<double> doubles_;
};

}  // namespace muster
