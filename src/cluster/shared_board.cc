#include "cluster/shared_board.h"

#include <sched.h>

#include <new>
#include <utility>

#include "base/aligned.h"
#include "base/check.h"

namespace muster {

std::size_t SharedBoard::bytes_of_member(std::size_t slot_values) {
  MUSTER_CHECK(slot_values % 16 == 0, "slots of whole cache lines");
  return sizeof(BoardPlace) + kSlots * slot_values * sizeof(double);
}

void SharedBoard::make_place(std::byte* memory) {
  MUSTER_CHECK(reinterpret_cast<std::uintptr_t>(memory) % alignof(BoardPlace) == 0, "a place starts on a cache line");
  ::new (static_cast<void*>(memory)) BoardPlace();
}

SharedBoard::SharedBoard(const std::vector<std::byte*>& memory, std::shared_ptr<void> owner, std::size_t slot_values,
                         bool one_process)
    : owner_(std::move(owner)), slot_values_(slot_values), one_process_(one_process) {
  for (std::byte* start : memory) {
    places_.push_back(std::launder(reinterpret_cast<BoardPlace*>(start)));
    slots_.push_back(reinterpret_cast<double*>(start + sizeof(BoardPlace)));
  }
}

std::shared_ptr<SharedBoard> SharedBoard::of_threads(std::size_t members, std::size_t slot_values) {
  const std::size_t each = bytes_of_member(slot_values);
  auto heap = std::make_shared<AlignedVector<std::byte>>(members * each + alignof(BoardPlace));
  void* start = heap->data();
  std::size_t room = heap->size();
  MUSTER_CHECK(std::align(alignof(BoardPlace), members * each, start, room) != nullptr, "room to align in");
  std::vector<std::byte*> memory;
  for (std::size_t m = 0; m < members; ++m) {
    memory.push_back(static_cast<std::byte*>(start) + m * each);
    make_place(memory.back());
  }
  return std::make_shared<SharedBoard>(memory, heap, slot_values, true);
}

bool SharedBoard::here(int member, BoardStep step) {
  if (member != kEverybody) return arrived(member) >= step;
  for (int m = 0; m < members(); ++m) {
    if (arrived(m) < step) return false;
  }
  return true;
}

void SharedBoard::fall_asleep(int member, int awaited, BoardStep step) {
  BoardPlace& mine = place(member);
  mine.asleep_for.store(awaited, std::memory_order_relaxed);
  mine.asleep_until.store(step);
  sleepers_.fetch_add(1);
}

void SharedBoard::wake_up(int member) {
  sleepers_.fetch_sub(1);
  place(member).asleep_until.store(0);
}

bool SharedBoard::to_be_woken(int member) {
  const BoardPlace& sleeper = place(member);
  const BoardStep step = sleeper.asleep_until.load();
  return step != 0 && here(sleeper.asleep_for.load(std::memory_order_relaxed), step);
}

bool SharedBoard::begin_work(int member) {
  place(member).working.store(true);
  if (!withdrawn_.load()) return true;
  end_work(member);
  return false;
}

void SharedBoard::withdraw(int member) {
  withdrawn_.store(true);
  for (int m = 0; m < members(); ++m) {
    while (m != member && place(m).working.load()) sched_yield();
  }
}

}  // namespace muster
