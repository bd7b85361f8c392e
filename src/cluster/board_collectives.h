// Collectives of one group over a SharedBoard. They add in the order of collectives.h, so with the same bits as those
// of messages.
//
// Few values go through a slot of each member, and each adds all. Of many every member adds a slice, of all members'
// values, so that the work and the traffic of memory are shared by all, each value is read once, and nobody waits for a
// server. Threads read and write the values where they are; processes pass them through slots in pieces that stay in
// cache, and add one piece while the next is already there.
//
// Source: R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in MPICH", Int. J.
// High Perform. Comput. Appl. 19 (2005) 49-66 (reduce-scatter and allgather).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "cluster/shared_board.h"

namespace muster {

// What a member does about the rest of the world when it has spun in vain.
class BoardPatience {
 public:
  // Returns when here(); throws what a wait in a collective throws. missing(position): that it is not yet there.
  virtual void wait(const std::function<bool()>& here, const std::function<bool(int position)>& missing) = 0;
  // Lets another member's wait() look again; called where members are threads.
  virtual void wake(int position) = 0;

 protected:
  ~BoardPatience() = default;
};

// Of one member. After a collective has thrown, withdraw() and no more.
class BoardCollectives {
 public:
  // position: the member's own. patience outlives this.
  BoardCollectives(std::shared_ptr<SharedBoard> board, int position, BoardPatience& patience);

  // root: a position.
  void broadcast(std::span<double> values, int root);
  void reduce(std::span<double> values, ReduceOp op, int root) { add(values, op, root); }
  void allreduce(std::span<double> values, ReduceOp op) { add(values, op, kEverybody); }
  void barrier();

  // No other member uses this one's values any more when it returns.
  void withdraw();

  // This member enters a collective; and what another one was seen doing last.
  struct Sign {
    Time at = 0;
    std::uint32_t activity = 0;
  };
  void leave_sign(const Sign& sign);
  Sign sign_of(int position) const;

  // Whether an allreduce of so many goes by slices.
  bool slices(std::size_t values) const;

 private:
  struct Piece;  // of values, on its way through a slot

  BoardStep arrive();
  void await(int member, BoardStep step);
  std::size_t next_slot();
  std::size_t free_slot();
  void done_with(std::size_t slot);
  std::span<double> part_of(std::span<double> values, int position) const;

  // The sum is for `receiver`, or for everybody.
  void add(std::span<double> values, ReduceOp op, int receiver);
  void add_few(std::span<double> values, ReduceOp op, int receiver);
  void add_in_place(std::span<double> values, ReduceOp op, int receiver);
  void add_in_pieces(std::span<double> values, ReduceOp op, int receiver);
  Piece give(std::span<double> values);
  void add_own_part(Piece& piece, ReduceOp op, int receiver);
  void take_sums(const Piece& piece);
  void broadcast_in_place(std::span<double> values, int root);
  void publish(std::span<double> values);
  template <class Work>
  void share_work(Work work);

  std::shared_ptr<SharedBoard> board_;
  int mine_, count_;
  BoardPatience& patience_;
  int spins_;
  BoardStep step_ = 0;                                         // at which this member has arrived
  std::size_t uses_ = 0;                                       // of slots
  std::array<BoardStep, SharedBoard::kSlots> free_from_ = {};  // the step of all after which nobody reads the slot
  std::vector<const double*> sources_;
  std::vector<double*> outs_;
};

}  // namespace muster
