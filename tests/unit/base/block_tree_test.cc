#include "base/block_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace muster {
namespace {

// Writes how it was merged: "((0 1) 2)".
struct Trace {
  std::string text;
  void clear() { text.assign(1, '?'); }
  void merge(const Trace& from) { text = fmt::format("({} {})", text, from.text); }
};

// The definition: blocks [begin, begin + size) of `blocks`, size a power of two.
std::string expected(std::size_t begin, std::size_t size, std::size_t blocks) {
  if (size == 1) return std::to_string(begin);
  const std::string left = expected(begin, size / 2, blocks);
  if (begin + size / 2 >= blocks) return left;
  return fmt::format("({} {})", left, expected(begin + size / 2, size / 2, blocks));
}

TEST(BlockTree, IsThePerfectBinaryTreeForAnyThreads) {
  for (std::size_t blocks = 1; blocks <= 70; ++blocks) {
    for (int threads : {1, 2, 3, 7}) {
      Executor executor(threads);
      const Trace sum = sum_blocks(
          executor, blocks, [] { return Trace(); },
          [](std::size_t block, int, Trace& trace) {
            EXPECT_EQ(trace.text, "?");
            trace.text = std::to_string(block);
          });
      EXPECT_EQ(sum.text, expected(0, 128, blocks));
    }
  }
}

TEST(BlockTree, NoBlocksSumToNothing) {
  Executor executor(2);
  const Trace sum = sum_blocks(
      executor, 0, [] { return Trace(); }, [](std::size_t, int, Trace&) { FAIL(); });
  EXPECT_EQ(sum.text, "?");
}

struct RoundedSum {
  double value = 0;
  void clear() { value = 0; }
  void merge(const RoundedSum& from) { value += from.value; }
};

TEST(BlockTree, RoundingDoesNotDependOnThreads) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  std::vector<double> terms(10007);
  for (double& term : terms) term = normal(random) * std::exp(10 * normal(random));
  double first = 0;
  for (int threads : {1, 2, 3, 4, 7}) {
    Executor executor(threads);
    const RoundedSum sum = sum_blocks(
        executor, terms.size(), [] { return RoundedSum(); },
        [&](std::size_t block, int, RoundedSum& block_sum) { block_sum.value = terms[block]; });
    if (threads == 1) first = sum.value;
    EXPECT_EQ(sum.value, first);
  }
}

TEST(BlockTree, KeepsFewAccumulators) {
  for (int threads : {1, 4}) {
    Executor executor(threads);
    std::atomic<int> built = 0;
    sum_blocks(
        executor, 1 << 14,
        [&] {
          ++built;
          return RoundedSum();
        },
        [](std::size_t, int, RoundedSum&) {});
    EXPECT_LE(built, (threads + 1) * 16);
  }
}

TEST(BlockTree, ExceptionsComeOut) {
  Executor executor(3);
  const auto failing = [](std::size_t block, int, RoundedSum&) {
    if (block == 11) throw std::runtime_error("eleven");
  };
  EXPECT_THROW(sum_blocks(
                   executor, 1000, [] { return RoundedSum(); }, failing),
               std::runtime_error);
}

}  // namespace
}  // namespace muster
