// Collectives of a GroupEndpoint over memory that its members share.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/group_clocks.h"
#include "muster/error.h"

namespace muster {

namespace {

// A rank that finds everybody there each time, and so never waits, looks at its messages all the same once in so many
// collectives: others may ask it for a sign of life.
constexpr std::uint32_t kLookEvery = 16;

}  // namespace

BoardCollectives* GroupEndpoint::board() {
  if (!asked_for_board_ && group_.members.size() > 1) {
    BoardGroup group{group_.context, {}, group_.area};
    for (const int member : group_.members) group.ranks.push_back(run_rank(member));
    std::shared_ptr<SharedBoard> board = station_.wire().board(group);
    BoardPatience& patience = *this;
    if (board) board_ = std::make_unique<BoardCollectives>(std::move(board), position(rank()), patience);
    asked_for_board_ = true;
  }
  return board_.get();
}

int GroupEndpoint::position(int member) const {
  const auto found = std::lower_bound(group_.members.begin(), group_.members.end(), member);
  MUSTER_CHECK(found != group_.members.end() && *found == member, "a collective's root and callers must be members");
  return static_cast<int>(found - group_.members.begin());
}

template <class Collective>
void GroupEndpoint::on_board(Doing doing, Deadline deadline, Collective collective) {
  const Timed timed(*this, doing);
  check_unbroken();
  collective_deadline_ = deadline;
  board_->leave_sign({timed.start(), encode(station_.activity())});
  try {
    check_cancelled();
    if (on_board_count_++ % kLookEvery == 0) station_.pull();
    collective(*board_);
  } catch (...) {
    broken_ = true;
    board_->withdraw();
    throw;
  }
}

// Traffic counts a message for every other member that reads values from here or whose values are written from here.
void GroupEndpoint::broadcast(std::span<double> values, int root, Deadline deadline) {
  if (board() == nullptr) return Endpoint::broadcast(values, root, deadline);
  const int from = position(root);
  on_board(Doing::broadcast, deadline, [&](BoardCollectives& board) { board.broadcast(values, from); });
  const std::size_t others = group_.members.size() - 1;
  if (root == rank()) count_sent(others * (values.size_bytes() + kHeaderBytes), static_cast<std::int64_t>(others));
}

void GroupEndpoint::reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  if (board() == nullptr) return Endpoint::reduce(values, op, root, deadline);
  const int to = position(root);
  on_board(Doing::reduce, deadline, [&](BoardCollectives& board) { board.reduce(values, op, to); });
  if (root != rank()) count_sent(values.size_bytes() + kHeaderBytes, 1);
}

void GroupEndpoint::allreduce(std::span<double> values, ReduceOp op, Deadline deadline) {
  if (board() == nullptr) return Endpoint::allreduce(values, op, deadline);
  on_board(Doing::allreduce, deadline, [&](BoardCollectives& board) { board.allreduce(values, op); });
  const std::size_t others = group_.members.size() - 1;
  const bool slices = board_->slices(values.size());
  const std::size_t bytes = slices ? 2 * values.size_bytes() / (others + 1) : values.size_bytes();
  const std::size_t messages = slices ? 2 * others : others;
  count_sent(bytes * others + messages * kHeaderBytes, static_cast<std::int64_t>(messages));
}

void GroupEndpoint::barrier(Deadline deadline) {
  if (board() == nullptr) return Endpoint::barrier(deadline);
  on_board(Doing::barrier, deadline, [&](BoardCollectives& board) { board.barrier(); });
  const std::size_t others = group_.members.size() - 1;
  count_sent(others * kHeaderBytes, static_cast<std::int64_t>(others));
}

void GroupEndpoint::wait(const std::function<bool()>& here, const std::function<bool(int position)>& missing) {
  std::vector<int> awaited;  // members
  for (std::size_t p = 0; p < group_.members.size(); ++p) {
    if (missing(static_cast<int>(p)) && group_.members[p] != rank()) awaited.push_back(group_.members[p]);
  }
  for (const int member : awaited) {
    const BoardCollectives::Sign sign = board_->sign_of(position(member));
    station_.note_earlier_sign(run_rank(member), decode_activity(sign.activity), sign.at);
  }
  const std::vector<int> peers = awaited_peers(awaited);
  const Time start = now();
  station_.begin_wait();
  const WaitClock clock(*this);
  while (true) {
    station_.pull();
    check_cancelled();
    if (here()) break;
    check_collective();
    // What it has not done before it left it will not do.
    for (const int member : awaited) {
      if (ended(member) != nullptr && missing(position(member))) throw_lost(member);
    }
    if (collective_deadline_.passed(now())) throw_timeout("the other members of a collective", start);
    wait_step(peers, collective_deadline_);
  }
  for (const int peer : peers) station_.note_sign(peer, station_.activity());
}

void GroupEndpoint::wake(int position) {
  station_.wire().wake(run_rank(group_.members[static_cast<std::size_t>(position)]));
}

}  // namespace muster
