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

void prefer_large_pages(std::byte* memory, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice: where it is not taken, they are small ones
#endif
}

// From a large page's beginning on, and nothing besides. bytes: whole pages.
std::byte* map_aligned(std::size_t bytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, bytes + kLargePage, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(memory);
  const std::size_t before = (kLargePage - reinterpret_cast<std::uintptr_t>(memory) % kLargePage) % kLargePage;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + bytes, kLargePage - before);
  return begin + before;
}

std::shared_ptr<std::byte> map_large_pages(std::size_t bytes) {
  const std::size_t whole = (bytes + kLargePage - 1) / kLargePage * kLargePage;
  std::byte* memory = map_aligned(whole);
  prefer_large_pages(memory, whole);
  return {memory, [whole](std::byte* mapped) { munmap(mapped, whole); }};
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

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) munmap(data_, room_);
}

void PageBuffer::make_room(std::size_t bytes) {
  constexpr std::size_t kLeast = std::size_t{64} << 10;
  if (bytes <= room_) return;
  std::size_t room = std::max({bytes, 2 * room_, kLeast});  // what is never touched costs nothing
  const std::size_t unit = room < kLargePage ? kLeast : kLargePage;
  room = (room + unit - 1) / unit * unit;
  std::byte* grown = map_aligned(room);
  if (data_ != nullptr && mremap(data_, room_, room, MREMAP_MAYMOVE | MREMAP_FIXED, grown) == MAP_FAILED) {
    munmap(grown, room);
    throw std::bad_alloc();
  }
  data_ = grown;
  room_ = room;
  // Small ones stay as they are: a large page would be touched whole.
  if (room_ > kLargePage) prefer_large_pages(data_, room_);
}

PageBuffer BufferPool::take() {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->free.empty()) return {};
  PageBuffer buffer = std::move(shared_->free.back());
  shared_->free.pop_back();
  return buffer;
}

std::shared_ptr<const void> BufferPool::lend(PageBuffer buffer) {
  class Lent {
   public:
    Lent(PageBuffer lent, std::shared_ptr<Shared> pool) : buffer_(std::move(lent)), shared_(std::move(pool)) {}
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() {
      const std::lock_guard lock(shared_->mutex);
      shared_->free.push_back(std::move(buffer_));
    }

   private:
    PageBuffer buffer_;
    std::shared_ptr<Shared> shared_;
  };
  return std::make_shared<Lent>(std::move(buffer), shared_);
}

void release_free_memory() {
#ifdef __GLIBC__
#ifndef __SANITIZE_ADDRESS__  // which puts an allocator of its own before glibc's, and leaves that one unmade
  malloc_trim(0);
#endif
#endif
}

}  // namespace muster
