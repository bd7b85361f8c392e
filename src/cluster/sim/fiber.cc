#include "cluster/sim/fiber.h"

#include <cxxabi.h>

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <utility>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace muster {

namespace {

// What the C++ runtime keeps per thread about exceptions in flight (Itanium C++ ABI 2.2.2) belongs to the fibre: it may
// be left inside a handler, or while the stack unwinds.
struct ExceptionState {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

void exchange_exception_state(ExceptionState& other) {
  auto& mine = *reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
  std::swap(mine, other);
}

// The address sanitizer must be told which stack is in use, and that a new one is clean: where it was that of another
// fibre before, frames that never returned have left their marks.
struct StackNote {
  void* fake = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;

  void begin() const {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(bottom, size);
#endif
  }
  void leave([[maybe_unused]] const StackNote& to, [[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, to.bottom, to.size);
#endif
  }
  void arrive([[maybe_unused]] StackNote& from) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, &from.bottom, &from.size);
#endif
  }
};

}  // namespace

struct Fiber::State {
  boost::context::fiber outside, inside;
  ExceptionState exceptions;
  StackNote outer_stack, inner_stack;
  std::function<void()> body;
  bool begun = false, finished = false;
};

Fiber::Fiber(std::size_t stack_bytes, std::function<void()> body) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.body = std::move(body);
  boost::context::protected_fixedsize_stack allocator(stack_bytes);
  boost::context::stack_context stack = allocator.allocate();
  state.inner_stack.size = stack.size;
  state.inner_stack.bottom = static_cast<char*>(stack.sp) - stack.size;
  state.inner_stack.begin();
  const boost::context::preallocated place(stack.sp, stack.size, stack);
  state.inside = boost::context::fiber(std::allocator_arg, place, allocator, [&state](boost::context::fiber&& outside) {
    state.inner_stack.arrive(state.outer_stack);
    state.outside = std::move(outside);
    state.body();
    state.finished = true;
    state.inner_stack.leave(state.outer_stack, true);
    return std::move(state.outside);
  });
}

Fiber::~Fiber() {
  MUSTER_CHECK(!state_->begun || state_->finished, "a fibre is destroyed in the middle");
}

bool Fiber::finished() const {
  return state_->finished;
}

void Fiber::resume() {
  State& state = *state_;
  state.begun = true;
  exchange_exception_state(state.exceptions);
  state.outer_stack.leave(state.inner_stack, false);
  state.inside = std::move(state.inside).resume();
  state.outer_stack.arrive(state.inner_stack);
  exchange_exception_state(state.exceptions);
}

void Fiber::suspend() {
  State& state = *state_;
  state.inner_stack.leave(state.outer_stack, false);
  state.outside = std::move(state.outside).resume();
  state.inner_stack.arrive(state.outer_stack);
}

}  // namespace muster
