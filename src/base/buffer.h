// Bytes on their way between ranks: owned by exactly one holder, moved and never copied by accident.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"

namespace muster {

class Buffer {
 public:
  Buffer() = default;

  // Uninitialised, aligned for any vector instruction.
  explicit Buffer(std::size_t bytes)
      : data_(bytes ? static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kAlignment})) : nullptr),
        size_(bytes) {}

  template <class T>
  requires std::is_trivially_copyable_v<T>
  static Buffer copy_of(std::span<const T> values) {
    Buffer buffer(values.size_bytes());
    if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size_bytes());
    return buffer;
  }
  static Buffer copy_of(std::string_view text) { return copy_of(std::span<const char>(text.data(), text.size())); }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

  // The bytes as values of T; their number must divide evenly.
  template <class T>
  std::span<T> as() {
    MUSTER_CHECK(size_ % sizeof(T) == 0, "buffer does not hold a whole number of values");
    return {reinterpret_cast<T*>(data_.get()), size_ / sizeof(T)};
  }
  template <class T>
  std::span<const T> as() const {
    MUSTER_CHECK(size_ % sizeof(T) == 0, "buffer does not hold a whole number of values");
    return {reinterpret_cast<const T*>(data_.get()), size_ / sizeof(T)};
  }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete (bytes, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace muster
