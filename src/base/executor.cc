#include "base/executor.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::chrono::milliseconds kWaitBetweenCalls{50};

using Task = std::function<void(std::size_t, int)>;

}  // namespace

struct Executor::State {
  std::function<void()> between_tasks;
  std::vector<std::thread> helpers;

  std::mutex mutex;
  std::condition_variable work_ready;    // to helpers
  std::condition_variable helpers_done;  // to the caller
  // Below: guarded by mutex.
  std::uint64_t run_number = 0;
  bool closing = false;
  const Task* task = nullptr;
  struct Stretch {
    std::size_t next, end;
    std::size_t left() const { return end - next; }
  };
  std::vector<Stretch> stretches;  // of indices not yet taken, by thread
  std::size_t helpers_busy = 0;
  bool running = false;
  std::exception_ptr failure;

  // Gives every thread a stretch of its own, so that in every run it works on the same rows and memory.
  void deal(std::size_t count) {
    const std::size_t threads = helpers.size() + 1;
    stretches.clear();
    for (std::size_t t = 0; t < threads; ++t) stretches.push_back({t * count / threads, (t + 1) * count / threads});
  }

  // The next index of the thread's stretch, or of the longest that is left; false where there is none or something
  // failed.
  bool take(int thread, std::size_t& index) {
    const std::lock_guard lock(mutex);
    if (failure) return false;
    Stretch* from = &stretches[static_cast<std::size_t>(thread)];
    if (from->left() == 0)
      from = &*std::ranges::max_element(stretches, {}, [](const Stretch& stretch) { return stretch.left(); });
    if (from->left() == 0) return false;
    index = from->next++;
    return true;
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex);
    if (!failure) failure = std::move(error);
  }

  void help(int thread) {
    std::uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex);
        work_ready.wait(lock, [&] { return closing || run_number != seen; });
        if (closing) return;
        seen = run_number;
      }
      work(thread, {});
      const std::lock_guard lock(mutex);
      if (--helpers_busy == 0) helpers_done.notify_one();
    }
  }

  void work(int thread, const std::function<void()>& after_each) {
    try {
      for (std::size_t index = 0; take(thread, index);) {
        (*task)(index, thread);
        if (after_each) after_each();
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // Calls between_tasks while helpers work; once something failed, only waits for them.
  void wait_for_helpers() {
    std::unique_lock lock(mutex);
    const auto done = [&] { return helpers_busy == 0; };
    while (!helpers_done.wait_for(lock, kWaitBetweenCalls, done)) {
      if (!between_tasks || failure) continue;
      lock.unlock();
      try {
        between_tasks();
      } catch (...) {
        fail(std::current_exception());
      }
      lock.lock();
    }
  }
};

Executor::Executor(int threads, std::function<void()> between_tasks) : state_(std::make_unique<State>()) {
  MUSTER_CHECK(threads >= 1, "an executor has at least the caller's thread");
  state_->between_tasks = std::move(between_tasks);
  state_->helpers.reserve(static_cast<std::size_t>(threads - 1));
  for (int thread = 1; thread < threads; ++thread) {
    state_->helpers.emplace_back([state = state_.get(), thread] { state->help(thread); });
  }
}

Executor::~Executor() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->work_ready.notify_all();
  for (std::thread& helper : state_->helpers) helper.join();
}

int Executor::threads() const {
  return static_cast<int>(state_->helpers.size()) + 1;
}

void Executor::run(std::size_t count, const Task& task) {
  State& state = *state_;
  const bool wake_helpers = count > 1 && !state.helpers.empty();
  {
    const std::lock_guard lock(state.mutex);
    MUSTER_CHECK(!state.running, "Executor::run is not reentrant");
    state.running = true;
    state.task = &task;
    state.deal(count);
    state.failure = nullptr;
    if (wake_helpers) {
      state.helpers_busy = state.helpers.size();
      ++state.run_number;
    }
  }
  if (wake_helpers) state.work_ready.notify_all();
  state.work(0, state.between_tasks);
  if (wake_helpers) state.wait_for_helpers();
  std::exception_ptr failure;
  {
    const std::lock_guard lock(state.mutex);
    state.running = false;
    state.task = nullptr;
    failure = std::exchange(state.failure, nullptr);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace muster
