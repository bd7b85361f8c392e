// Memory straight from the operating system, given back to it at once when freed: what is staged while reading must be
// gone by the time the matrix that replaces it has grown, and malloc keeps what it once had.
#pragma once

#include <cstddef>
#include <utility>

namespace muster {

class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t bytes);  // throws std::bad_alloc
  Pages(Pages&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Pages();

  std::size_t size() const { return size_; }
  template <class T>
  T* at(std::size_t offset) const {  // offset in bytes, a multiple of sizeof(T)
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Gives back to the operating system what malloc holds of memory that is already free, such as a reader's buffers.
void release_free_memory();

}  // namespace muster
