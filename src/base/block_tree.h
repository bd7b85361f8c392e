// Sums over numbered blocks whose result does not depend on how many threads compute them.
//
// The blocks 0 … B−1 are the leaves of the perfect binary tree over their numbers: a node of level l and number k holds
// the sum of blocks [k·2^l, (k+1)·2^l), always merged as left.merge(right), whoever computed either; where the right
// half has no blocks the left is the node. How many there are need not be known before the last. Any rounding in merge
// is therefore the same for any number of threads, and grows with log B. Threads take blocks of stretches in
// ascending order and merge what is complete, so at most O(threads · log B) accumulators are alive, and finished ones
// are used again.
#pragma once

#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/executor.h"

namespace muster {

template <class A>
concept Mergeable = requires(A into, const A& from) {
  into.clear();      // to the sum over no rows
  into.merge(from);  // adds; the arguments are disjoint, `into` being the part with the smaller block numbers
};

// Accumulators that were used, to be used again.
template <Mergeable Accumulator>
using Spares = std::vector<std::unique_ptr<Accumulator>>;

template <Mergeable Accumulator>
class BlockTree {
 public:
  BlockTree() = default;
  explicit BlockTree(Spares<Accumulator> spares) : unused_(std::move(spares)) {}

  // A cleared accumulator: a used one, or one that make() builds.
  template <class Make>
  std::unique_ptr<Accumulator> take(const Make& make) {
    std::unique_ptr<Accumulator> accumulator;
    {
      const std::lock_guard lock(mutex_);
      if (!unused_.empty()) {
        accumulator = std::move(unused_.back());
        unused_.pop_back();
      }
    }
    if (!accumulator) accumulator = std::make_unique<Accumulator>(make());
    accumulator->clear();
    return accumulator;
  }

  // Block `number` is summed: merges it with every complete neighbour.
  void finish(std::size_t number, std::unique_ptr<Accumulator> sum) {
    for (int level = 0;; ++level, number /= 2) {
      std::unique_ptr<Accumulator> other = sibling_or_wait(level, number, sum);
      if (!other) return;
      if (number % 2 == 1) std::swap(sum, other);
      sum->merge(*other);
      const std::lock_guard lock(mutex_);
      unused_.push_back(std::move(other));
    }
  }

  // The sum of all blocks, after each was finished: what waits are perfect trees, the larger the further left.
  Accumulator root() {
    std::unique_ptr<Accumulator> sum;
    for (auto& [place, node] : waiting_) {  // from the smallest
      if (sum) node->merge(*sum);
      sum = std::move(node);
    }
    MUSTER_CHECK(sum != nullptr, "there is a block");
    return std::move(*sum);
  }
  // What is left then.
  Spares<Accumulator> release() { return std::move(unused_); }

 private:
  // The finished sibling; or none, and `sum` is kept for the thread that finishes it.
  std::unique_ptr<Accumulator> sibling_or_wait(int level, std::size_t number, std::unique_ptr<Accumulator>& sum) {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find({level, number ^ 1});
    if (found == waiting_.end()) {
      waiting_.emplace(std::pair{level, number}, std::move(sum));
      return nullptr;
    }
    std::unique_ptr<Accumulator> other = std::move(found->second);
    waiting_.erase(found);
    return other;
  }

  std::mutex mutex_;
  std::map<std::pair<int, std::size_t>, std::unique_ptr<Accumulator>> waiting_;
  Spares<Accumulator> unused_;
};

// Calls add_block(number, thread, accumulator) with a cleared accumulator once for each number in [0, blocks), on the
// executor's threads, and returns their sum: bit for bit the same for any number of threads. make() builds an
// accumulator, on any thread. Exceptions of both, and of the executor's between_tasks, come out here.
template <class Make, class AddBlock>
auto sum_blocks(Executor& executor, std::size_t blocks, const Make& make, const AddBlock& add_block) {
  using Accumulator = decltype(make());
  if (blocks == 0) {
    Accumulator nothing = make();
    nothing.clear();
    return nothing;
  }
  BlockTree<Accumulator> tree;
  executor.run(blocks, [&](std::size_t number, int thread) {
    std::unique_ptr<Accumulator> sum = tree.take(make);
    add_block(number, thread, *sum);
    tree.finish(number, std::move(sum));
  });
  return tree.root();
}

}  // namespace muster
