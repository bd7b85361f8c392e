#include "data/pages.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include "base/aligned.h"

namespace muster {
namespace {

constexpr std::size_t kMapping = 8 * kLargePage;

// From a large page's beginning on.
std::shared_ptr<std::byte> map_large_pages(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes + kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  const std::uintptr_t into_page = reinterpret_cast<std::uintptr_t>(memory) % kLargePage;
  std::byte* begin = static_cast<std::byte*>(memory) + (kLargePage - into_page) % kLargePage;
#ifdef MADV_HUGEPAGE
  madvise(begin, bytes, MADV_HUGEPAGE);  // advice: where it is not taken, they are small ones
#endif
  const auto unmap = [memory, bytes](std::byte*) { munmap(memory, bytes + kLargePage); };
  return {begin, unmap};
}

}  // namespace

Pages PageArena::take(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  if (bytes == 0) return {};
  if (bytes > kMapping) {
    std::shared_ptr<std::byte> own = map_large_pages(bytes);
    std::byte* data = own.get();
    return {std::move(own), data, bytes};
  }
  if (!mapping_ || used_ + bytes > kMapping) {
    mapping_ = map_large_pages(kMapping);
    used_ = 0;
  }
  std::byte* data = mapping_.get() + used_;
  used_ += (bytes + kLine - 1) / kLine * kLine;
  return {mapping_, data, bytes};
}

std::shared_ptr<std::byte> BufferPool::take(std::size_t bytes) {
  std::shared_ptr<std::byte> buffer;
  {
    const std::lock_guard lock(shared_->mutex);
    if (bytes > shared_->size) {
      shared_->size = std::max(bytes, shared_->size / 4 * 5);
      shared_->free.clear();
    } else if (!shared_->free.empty()) {
      buffer = std::move(shared_->free.back());
      shared_->free.pop_back();
    }
  }
  if (!buffer) buffer = map_large_pages(shared_->size);
  std::byte* data = buffer.get();
  const auto give_back = [buffer = std::move(buffer), shared = shared_, size = shared_->size](std::byte*) mutable {
    const std::lock_guard lock(shared->mutex);
    if (size == shared->size) shared->free.push_back(std::move(buffer));
  };
  return {data, give_back};
}

void release_free_memory() {
#ifdef __GLIBC__
#ifndef __SANITIZE_ADDRESS__  // which puts an allocator of its own before glibc's, and leaves that one unmade
  malloc_trim(0);
#endif
#endif
}

}  // namespace muster
