#include "cluster/threads/threads_wire.h"

#include <unistd.h>

#include <chrono>
#include <iterator>

#include "muster/error.h"

namespace muster {

namespace {

// More go from one rank's own values to another's.
constexpr std::size_t kSlotValues = 1024;

}  // namespace

ThreadsHub::ThreadsHub(int size) {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) host_ = name;
  for (int r = 0; r < size; ++r) inboxes_.push_back(std::make_unique<Inbox>());
}

void ThreadsHub::deliver(int to, Envelope envelope) {
  Inbox& box = inbox(to);
  {
    const std::lock_guard lock(box.mutex);
    if (box.shut) return;
    box.envelopes.push_back(std::move(envelope));
    box.filled = true;
  }
  box.arrived.notify_one();
}

void ThreadsHub::collect(int rank, std::vector<Envelope>& arrived) {
  Inbox& box = inbox(rank);
  if (!box.filled) return;  // progress() between blocks of a computation must cost nothing
  const std::lock_guard lock(box.mutex);
  std::move(box.envelopes.begin(), box.envelopes.end(), std::back_inserter(arrived));
  box.envelopes.clear();
  box.filled = false;
}

void ThreadsHub::wait(int rank, double seconds) {
  Inbox& box = inbox(rank);
  std::unique_lock lock(box.mutex);
  box.arrived.wait_for(lock, std::chrono::duration<double>(seconds),
                       [&] { return !box.envelopes.empty() || box.woken || given_up_; });
  box.woken = false;
}

void ThreadsHub::wake(int rank) {
  Inbox& box = inbox(rank);
  {
    const std::lock_guard lock(box.mutex);
    box.woken = true;
  }
  box.arrived.notify_one();
}

std::shared_ptr<SharedBoard> ThreadsHub::board(std::uint64_t context, std::size_t members) {
  const std::lock_guard lock(boards_mutex_);
  GroupBoard& group = boards_[context];
  if (!group.board) group.board = SharedBoard::of_threads(members, kSlotValues);
  return group.board;
}

void ThreadsHub::leave_board(std::uint64_t context, std::size_t members) {
  const std::lock_guard lock(boards_mutex_);
  if (++boards_[context].left == members) boards_.erase(context);
}

void ThreadsHub::shut(int rank) {
  Inbox& box = inbox(rank);
  const std::lock_guard lock(box.mutex);
  box.shut = true;
  box.envelopes.clear();
}

void ThreadsHub::give_up() {
  given_up_ = true;
  for (const auto& box : inboxes_) {
    const std::lock_guard lock(box->mutex);
    box->arrived.notify_all();
  }
}

Time ThreadsWire::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void ThreadsWire::wait(double seconds) {
  hub_->wait(rank_, seconds);
  if (hub_->given_up()) throw ClusterError("the run has ended without this rank");
}

}  // namespace muster
