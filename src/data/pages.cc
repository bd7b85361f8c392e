#include "data/pages.h"

#include <malloc.h>
#include <sys/mman.h>

#include <new>

namespace muster {

Pages::Pages(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
}

Pages::~Pages() {
  if (data_) munmap(data_, size_);
}

void release_free_memory() {
#ifdef __GLIBC__
#ifndef __SANITIZE_ADDRESS__  // which puts an allocator of its own before glibc's, and leaves that one unmade
  malloc_trim(0);
#endif
#endif
}

}  // namespace muster
