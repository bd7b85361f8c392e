// The threads of one rank. Injected, so that a computation knows neither how many there are nor who else waits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace muster {

class Executor {
 public:
  // threads >= 1, the caller's own included. between_tasks runs on the caller's thread only, after each task it does
  // and while it waits for the others: the place where a rank lets messages and heartbeats move.
  explicit Executor(int threads, std::function<void()> between_tasks = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  int threads() const;

  // Calls task(index, thread) for every index in [0, count), each once, in any order, on thread numbers in
  // [0, threads()), and returns when all are done. Every thread begins with a stretch of its own, the same in every run
  // of as many, in ascending order. The first exception thrown by a task is rethrown here, after all
  // running tasks have ended; tasks not yet begun are then skipped. Not reentrant.
  void run(std::size_t count, const std::function<void(std::size_t index, int thread)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
