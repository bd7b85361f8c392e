// Memory that all members of a group can reach, for collectives without messages: the members are threads of one
// process or processes of one host.
//
// Each member has a place, which says how far it has come, and a few slots for values on their way to the others. In
// one process the others reach its own values, too.
//
// Steps are numbered alike on all members, who go through the same collectives in the same order. That a member has
// arrived at step s means: what it gives the others in this step is there, and it has done with all that it took from
// them before.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace muster {

using BoardStep = std::uint64_t;

// Whom a member waits for.
inline constexpr int kEverybody = -1;

// Written by its member; alone on its cache lines, two of which processors fetch together.
struct alignas(128) BoardPlace {
  std::atomic<BoardStep> arrived{0};
  // Its last sign of life here: when it entered a collective, and which (tags.h).
  std::atomic<double> seen_at{0};
  std::atomic<std::uint32_t> activity{0};
  // Where members are threads:
  std::atomic<double*> values{nullptr};    // the member's own, for the others to read and write in this step
  std::atomic<bool> working{false};        // on the values of others
  std::atomic<BoardStep> asleep_until{0};  // the step at which it wants to be woken; 0: it is awake
  std::atomic<int> asleep_for{0};          // and whose, or kEverybody
};
static_assert(std::atomic<BoardStep>::is_always_lock_free && std::atomic<double*>::is_always_lock_free);

class SharedBoard {
 public:
  static constexpr std::size_t kSlots = 4;

  // What a member needs of memory, aligned like a BoardPlace.
  static std::size_t bytes_of_member(std::size_t slot_values);

  // memory: of each member, by its position in the group; owner keeps it. BoardPlaces must have been made at the start
  // of each, by make_place(). one_process: members are threads, and this very object serves all of them.
  SharedBoard(const std::vector<std::byte*>& memory, std::shared_ptr<void> owner, std::size_t slot_values,
              bool one_process);
  static void make_place(std::byte* memory);

  // On the heap, for threads.
  static std::shared_ptr<SharedBoard> of_threads(std::size_t members, std::size_t slot_values);

  int members() const { return static_cast<int>(places_.size()); }
  bool one_process() const { return one_process_; }
  std::size_t slot_values() const { return slot_values_; }
  BoardPlace& place(int member) { return *places_[static_cast<std::size_t>(member)]; }
  double* slot(int member, std::size_t index) {
    return slots_[static_cast<std::size_t>(member)] + index * slot_values_;
  }

  BoardStep arrived(int member) { return place(member).arrived.load(); }
  // Whether that member, or everybody, has arrived at the step.
  bool here(int member, BoardStep step);

  // --- sleep, where members are threads: whoever completes what a sleeper waits for must wake it. A sleeper first says
  // so and then looks once more; who arrives first arrives and then looks for sleepers. ---
  void fall_asleep(int member, int awaited, BoardStep step);
  void wake_up(int member);
  bool anybody_sleeps() const { return sleepers_.load() > 0; }
  bool to_be_woken(int member);

  // --- where members are threads: a member that gives a collective up takes its values back. ---
  // Before a member reads or writes values of others. False: somebody has withdrawn, and the collective with it.
  bool begin_work(int member);
  void end_work(int member) { place(member).working.store(false, std::memory_order_release); }
  // Returns when nobody uses values of others any more; nobody will.
  void withdraw(int member);

 private:
  std::vector<BoardPlace*> places_;
  std::vector<double*> slots_;
  std::shared_ptr<void> owner_;
  std::size_t slot_values_;
  bool one_process_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> withdrawn_{false};
};

}  // namespace muster
