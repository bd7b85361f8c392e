// An open file of the operating system's.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace muster {

// Closes what it holds; -1: nothing.
class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor();

  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Writes all of text at an offset; 0, or why it can not (errno).
int write_all_at(int descriptor, std::uint64_t offset, std::string_view text);

}  // namespace muster
