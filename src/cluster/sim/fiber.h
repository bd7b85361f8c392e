// A function that can be left in the middle and taken up again, on a stack of its own, all in one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace muster {

class Fiber {
 public:
  // The stack is mapped memory with a guard page below; only pages touched take room. body does not throw.
  Fiber(std::size_t stack_bytes, std::function<void()> body);
  // The body has finished or was never begun.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From outside: runs the body until it suspends or finishes.
  void resume();
  // From inside the body: back to whoever called resume().
  void suspend();
  bool finished() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
