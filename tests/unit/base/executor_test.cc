#include "base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace muster {
namespace {

TEST(Executor, DoesEveryTaskOnceOnItsThreadNumbers) {
  for (int threads : {1, 2, 3, 7}) {
    Executor executor(threads);
    EXPECT_EQ(executor.threads(), threads);
    for (std::size_t count : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> done(count);
      std::atomic<bool> in_range{true};
      executor.run(count, [&](std::size_t index, int thread) {
        ++done[index];
        if (thread < 0 || thread >= threads) in_range = false;
      });
      for (const auto& times : done) EXPECT_EQ(times, 1);
      EXPECT_TRUE(in_range);
    }
  }
}

TEST(Executor, ThreadsRunAtOnce) {
  Executor executor(3);
  std::mutex mutex;
  std::condition_variable arrived;
  int waiting = 0;
  // Returns only when all three tasks are under way.
  executor.run(3, [&](std::size_t, int) {
    std::unique_lock lock(mutex);
    ++waiting;
    arrived.notify_all();
    arrived.wait(lock, [&] { return waiting == 3; });
  });
  EXPECT_EQ(waiting, 3);
}

TEST(Executor, EveryThreadGoesThroughItsOwnStretch) {
  Executor executor(2);
  std::mutex mutex;
  std::condition_variable moved;
  std::vector<std::vector<std::size_t>> taken(2);
  // No task returns before the other thread has as many.
  executor.run(10, [&](std::size_t index, int thread) {
    const auto own = static_cast<std::size_t>(thread);
    std::unique_lock lock(mutex);
    taken[own].push_back(index);
    moved.notify_all();
    moved.wait(lock, [&] { return taken[1 - own].size() >= taken[own].size(); });
  });
  EXPECT_EQ(taken[0], (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(taken[1], (std::vector<std::size_t>{5, 6, 7, 8, 9}));
}

TEST(Executor, CallsBackOnTheCallersThreadAlone) {
  const std::thread::id caller = std::this_thread::get_id();
  int calls = 0;
  bool elsewhere = false;
  Executor alone(1, [&] { ++calls; });
  alone.run(10, [](std::size_t, int) {});
  EXPECT_EQ(calls, 10);

  // Each thread has one task; the helper's ends only when the caller, done with its own, was called back once more.
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  calls = 0;
  Executor pair(2, [&] {
    elsewhere = elsewhere || std::this_thread::get_id() != caller;
    const std::lock_guard lock(mutex);
    ++calls;
    changed.notify_all();
  });
  pair.run(2, [&](std::size_t, int thread) {
    std::unique_lock lock(mutex);
    ++begun;
    changed.notify_all();
    changed.wait(lock, [&] { return begun == 2; });
    if (thread == 1) changed.wait(lock, [&] { return calls >= 2; });
  });
  EXPECT_GE(calls, 2);
  EXPECT_FALSE(elsewhere);
}

TEST(Executor, RethrowsTheFirstExceptionAndCanGoOn) {
  for (int threads : {1, 2, 4}) {
    Executor executor(threads);
    std::atomic<int> begun = 0;
    const auto failing = [&](std::size_t index, int) {
      ++begun;
      if (index == 3) throw std::runtime_error("third");
    };
    EXPECT_THROW(executor.run(100000, failing), std::runtime_error);
    EXPECT_LT(begun, 100000);
    begun = 0;
    executor.run(50, [&](std::size_t, int) { ++begun; });
    EXPECT_EQ(begun, 50);
  }
}

TEST(Executor, RethrowsWhatTheCallbackThrowsAfterRunningTasksEnded) {
  for (int threads : {1, 3}) {
    bool armed = true;
    Executor executor(threads, [&] {
      if (armed) throw std::runtime_error("peer lost");
    });
    // Every thread has a task under way when the first ends.
    std::mutex mutex;
    std::condition_variable changed;
    int begun = 0, running = 0;
    const auto task = [&](std::size_t, int) {
      std::unique_lock lock(mutex);
      ++begun;
      ++running;
      changed.notify_all();
      changed.wait(lock, [&] { return begun >= threads; });
      --running;
    };
    EXPECT_THROW(executor.run(static_cast<std::size_t>(threads), task), std::runtime_error);
    EXPECT_EQ(running, 0);
    armed = false;
    begun = 0;
    executor.run(static_cast<std::size_t>(threads), task);
    EXPECT_EQ(begun, threads);
  }
}

}  // namespace
}  // namespace muster
