// Reads memory, and does nothing else: the limit of whatever reads its data once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/executor.h"

namespace muster::bench {

// The sum of whole words, in as many lanes as the processor has. Two runs of addresses at a time, each fetched a page
// ahead, which is faster than one, and than one that only the processor fetches ahead.
using Line = std::uint64_t __attribute__((vector_size(64), aligned(8)));

__attribute__((target_clones("default", "avx2", "arch=x86-64-v4"))) inline std::uint64_t read_words(
    const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kWords = sizeof(Line) / sizeof(std::uint64_t), kAhead = 4096 / sizeof(std::uint64_t);
  const std::size_t half = count / 2 / kWords * kWords;
  Line a{}, b{};
  for (std::size_t i = 0; i < half; i += kWords) {
    const std::uint64_t *first = words + i, *second = words + half + i;
    __builtin_prefetch(first + kAhead, 0, 2);
    __builtin_prefetch(second + kAhead, 0, 2);
    a += *reinterpret_cast<const Line*>(first);
    b += *reinterpret_cast<const Line*>(second);
  }
  std::uint64_t sum = 0;
  for (std::size_t i = 2 * half; i < count; ++i) sum += words[i];
  a += b;
  for (std::size_t k = 0; k < kWords; ++k) sum += a[k];
  return sum;
}

// Of all whole words, shared among the threads; the seconds it took.
inline double seconds_to_read(const void* memory, std::size_t bytes, Executor& executor) {
  constexpr std::size_t kWords = 64 * 1024;
  const auto* words = static_cast<const std::uint64_t*>(memory);
  const std::size_t count = bytes / sizeof(std::uint64_t);
  const auto begin = std::chrono::steady_clock::now();
  executor.run((count + kWords - 1) / kWords, [&](std::size_t part, int) {
    volatile std::uint64_t sum = read_words(words + part * kWords, std::min(kWords, count - part * kWords));
    static_cast<void>(sum);
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace muster::bench
