#include "cluster/board_collectives.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cluster/tree_sum.h"

namespace muster {

namespace {

// How long a member spins, and then yields its processor, before it waits in earnest: some tens of microseconds, where
// every member can have a processor; where they can not, the one awaited may need this one's.
constexpr int kSpins = 3000, kYields = 20;
// Values in all slots up to which each member adds all of them: one meeting in the place of two.
constexpr std::size_t kFewValues = 4096;
// Slices begin on cache lines, where the values do.
constexpr std::size_t kLineValues = 8;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct BoardCollectives::Piece {
  std::span<double> values;  // the member's own
  std::size_t slot = 0;
  BoardStep given = 0, summed = 0;
};

BoardCollectives::BoardCollectives(std::shared_ptr<SharedBoard> board, int position, BoardPatience& patience)
    : board_(std::move(board)), mine_(position), count_(board_->members()), patience_(patience) {
  const bool room_for_all = count_ <= sysconf(_SC_NPROCESSORS_ONLN);
  spins_ = room_for_all ? kSpins : 0;
  sources_.resize(static_cast<std::size_t>(count_));
  outs_.reserve(sources_.size());
}

BoardStep BoardCollectives::arrive() {
  ++step_;
  if (!board_->one_process()) {
    board_->place(mine_).arrived.store(step_, std::memory_order_release);
    return step_;
  }
  board_->place(mine_).arrived.store(step_);
  for (int m = 0; m < count_ && board_->anybody_sleeps(); ++m) {
    if (m != mine_ && board_->to_be_woken(m)) patience_.wake(m);
  }
  return step_;
}

void BoardCollectives::await(int member, BoardStep step) {
  for (int k = 0; k <= spins_; ++k) {
    if (board_->here(member, step)) return;
    pause();
  }
  for (int k = 0; k < kYields; ++k) {
    sched_yield();
    if (board_->here(member, step)) return;
  }
  if (board_->one_process()) board_->fall_asleep(mine_, member, step);
  const auto here = [&] { return board_->here(member, step); };
  const auto missing = [&](int m) { return (member == kEverybody || m == member) && board_->arrived(m) < step; };
  try {
    patience_.wait(here, missing);
  } catch (...) {
    if (board_->one_process()) board_->wake_up(mine_);
    throw;
  }
  if (board_->one_process()) board_->wake_up(mine_);
}

// A use of a slot: the same one on all members, whether or not they write.
std::size_t BoardCollectives::next_slot() {
  return uses_++ % SharedBoard::kSlots;
}

// The same, to be written.
std::size_t BoardCollectives::free_slot() {
  const std::size_t slot = next_slot();
  await(kEverybody, free_from_[slot]);
  return slot;
}

// All members come to the same point of their programs: at their next step they have done with the slot.
void BoardCollectives::done_with(std::size_t slot) {
  free_from_[slot] = step_ + 1;
}

std::span<double> BoardCollectives::part_of(std::span<double> values, int position) const {
  const auto begin = [&](int p) {
    const std::size_t even = values.size() * static_cast<std::size_t>(p) / static_cast<std::size_t>(count_);
    return p == count_ ? values.size() : even / kLineValues * kLineValues;
  };
  return values.subspan(begin(position), begin(position + 1) - begin(position));
}

bool BoardCollectives::slices(std::size_t values) const {
  return values > board_->slot_values() || values * static_cast<std::size_t>(count_ - 1) > kFewValues;
}

void BoardCollectives::barrier() {
  await(kEverybody, arrive());
}

void BoardCollectives::withdraw() {
  if (board_->one_process()) board_->withdraw(mine_);
}

void BoardCollectives::leave_sign(const Sign& sign) {
  board_->place(mine_).seen_at.store(sign.at, std::memory_order_relaxed);
  board_->place(mine_).activity.store(sign.activity, std::memory_order_relaxed);
}

BoardCollectives::Sign BoardCollectives::sign_of(int position) const {
  const BoardPlace& place = board_->place(position);
  return {place.seen_at.load(std::memory_order_relaxed), place.activity.load(std::memory_order_relaxed)};
}

void BoardCollectives::add(std::span<double> values, ReduceOp op, int receiver) {
  if (!slices(values.size())) return add_few(values, op, receiver);
  if (board_->one_process()) return add_in_place(values, op, receiver);
  add_in_pieces(values, op, receiver);
}

void BoardCollectives::add_few(std::span<double> values, ReduceOp op, int receiver) {
  const bool receives = receiver == kEverybody || receiver == mine_;
  const std::size_t slot = receiver == mine_ ? next_slot() : free_slot();
  if (receiver != mine_) std::copy(values.begin(), values.end(), board_->slot(mine_, slot));
  const BoardStep given = arrive();
  if (receives) {
    await(kEverybody, given);
    for (int m = 0; m < count_; ++m) {
      sources_[static_cast<std::size_t>(m)] = m == mine_ ? values.data() : board_->slot(m, slot);
    }
    double* const out = values.data();
    tree_sum(sources_, {&out, 1}, values.size(), op);
  }
  done_with(slot);
}

// --- threads ---

void BoardCollectives::publish(std::span<double> values) {
  board_->place(mine_).values.store(values.data(), std::memory_order_relaxed);
  await(kEverybody, arrive());
}

// Does this member's part of the work on everybody's values and waits for the others to do theirs.
template <class Work>
void BoardCollectives::share_work(Work work) {
  if (!board_->begin_work(mine_)) await(kEverybody, ~BoardStep{0});  // throws, as the one that has withdrawn did
  work();
  board_->end_work(mine_);
  await(kEverybody, arrive());
}

void BoardCollectives::add_in_place(std::span<double> values, ReduceOp op, int receiver) {
  publish(values);
  share_work([&] {
    const std::span<double> part = part_of(values, mine_);
    const std::ptrdiff_t offset = part.data() - values.data();
    outs_.clear();
    for (int m = 0; m < count_; ++m) {
      double* const of_m = board_->place(m).values.load(std::memory_order_relaxed) + offset;
      sources_[static_cast<std::size_t>(m)] = of_m;
      if (receiver == kEverybody || receiver == m) outs_.push_back(of_m);
    }
    tree_sum(sources_, outs_, part.size(), op);
  });
}

// Each copies a part of the root's values to everybody.
void BoardCollectives::broadcast_in_place(std::span<double> values, int root) {
  publish(values);
  share_work([&] {
    const std::span<double> part = part_of(values, mine_);
    const std::ptrdiff_t offset = part.data() - values.data();
    const double* const from = board_->place(root).values.load(std::memory_order_relaxed) + offset;
    for (int m = 0; m < count_; ++m) {
      if (m != root) std::copy_n(from, part.size(), board_->place(m).values.load(std::memory_order_relaxed) + offset);
    }
  });
}

// --- processes ---

BoardCollectives::Piece BoardCollectives::give(std::span<double> values) {
  Piece piece{values, free_slot()};
  double* const slot = board_->slot(mine_, piece.slot);
  for (int m = 0; m < count_; ++m) {
    if (m == mine_) continue;  // adds that itself
    const std::span<double> part = part_of(values, m);
    std::copy(part.begin(), part.end(), slot + (part.data() - values.data()));
  }
  piece.given = arrive();
  return piece;
}

void BoardCollectives::add_own_part(Piece& piece, ReduceOp op, int receiver) {
  await(kEverybody, piece.given);
  const std::span<double> part = part_of(piece.values, mine_);
  const std::ptrdiff_t offset = part.data() - piece.values.data();
  for (int m = 0; m < count_; ++m) {
    sources_[static_cast<std::size_t>(m)] = m == mine_ ? part.data() : board_->slot(m, piece.slot) + offset;
  }
  outs_.clear();
  if (receiver != mine_) outs_.push_back(board_->slot(mine_, piece.slot) + offset);
  if (receiver == mine_ || receiver == kEverybody) outs_.push_back(part.data());
  tree_sum(sources_, outs_, part.size(), op);
  piece.summed = arrive();
}

void BoardCollectives::take_sums(const Piece& piece) {
  await(kEverybody, piece.summed);
  for (int m = 0; m < count_; ++m) {
    if (m == mine_) continue;
    const std::span<double> part = part_of(piece.values, m);
    std::copy_n(board_->slot(m, piece.slot) + (part.data() - piece.values.data()), part.size(), part.data());
  }
}

void BoardCollectives::add_in_pieces(std::span<double> values, ReduceOp op, int receiver) {
  const std::size_t size = board_->slot_values();
  const std::size_t pieces = (values.size() + size - 1) / size;
  const auto piece_at = [&](std::size_t k) {
    return values.subspan(k * size, std::min(size, values.size() - k * size));
  };
  const auto finish = [&](const Piece& piece) {
    if (receiver == mine_ || receiver == kEverybody) take_sums(piece);
    done_with(piece.slot);
  };
  Piece next = give(piece_at(0)), before;
  for (std::size_t k = 0; k < pieces; ++k) {
    Piece piece = next;
    if (k + 1 < pieces) next = give(piece_at(k + 1));
    add_own_part(piece, op, receiver);
    if (k > 0) finish(before);
    before = piece;
  }
  finish(before);
}

void BoardCollectives::broadcast(std::span<double> values, int root) {
  if (board_->one_process() && values.size() > board_->slot_values()) return broadcast_in_place(values, root);
  const std::size_t size = board_->slot_values();
  for (std::size_t at = 0; at < values.size(); at += size) {
    const std::span<double> piece = values.subspan(at, std::min(size, values.size() - at));
    const std::size_t slot = mine_ == root ? free_slot() : next_slot();
    if (mine_ == root) std::copy(piece.begin(), piece.end(), board_->slot(root, slot));
    const BoardStep given = arrive();
    if (mine_ != root) {
      await(root, given);
      std::copy_n(board_->slot(root, slot), piece.size(), piece.begin());
    }
    done_with(slot);
  }
}

}  // namespace muster
