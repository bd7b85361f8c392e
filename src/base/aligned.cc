#include "base/aligned.h"

#include <sys/mman.h>

namespace muster {
namespace {

constexpr std::align_val_t kCacheLine{64};

bool on_large_pages(std::size_t bytes) {
  return bytes >= kLargePage;
}

}  // namespace

void* allocate_aligned(std::size_t bytes) {
  if (!on_large_pages(bytes)) return ::operator new(bytes, kCacheLine);
  void* memory = ::operator new (bytes, std::align_val_t{kLargePage});
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice: where it is not taken, the pages are small ones
#endif
  return memory;
}

void free_aligned(void* memory, std::size_t bytes) noexcept {
  ::operator delete(memory, on_large_pages(bytes) ? std::align_val_t{kLargePage} : kCacheLine);
}

}  // namespace muster
