// Sums over MPI's messages from rank to rank, in the order of addition of tree_sum.h, so with the bits that every other
// transport gives.
//
// Of few values everybody gets everybody's and adds all: a message to and from each of ceil(log2 m) ranks. Two ranks do
// so with many values, too. Of many among more ranks everybody adds a slice of all ranks' values and passes the sums
// on, as in board_collectives.h: 2(m - 1)/m of the values are sent by each.
//
// MPI reads and writes copies, never the caller's memory, since a sum given up at a deadline can not be taken back from
// MPI. Many values go in pieces: a copy is in the cache still when MPI takes it up, and while one piece is copied and
// added the next is under way. So that costs no more than a blocking MPI_Allreduce, which copies as much.
//
// Sources: J. Bruck, C.-T. Ho, S. Kipnis, E. Upfal, D. Weathersby, "Efficient algorithms for all-to-all communications
// in multiport message-passing systems", IEEE Trans. Parallel Distrib. Syst. 8 (1997) 1143-1156 (few values); Thakur et
// al. as in board_collectives.h (slices).
#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "cluster/endpoint.h"

namespace muster {

class MpiSums {
 public:
  // Returns when done(); throws where the wait is given up. After that nothing more is added.
  using Wait = std::function<void(const std::function<bool()>& done)>;

  // ranks: of the communicator, in the order of addition; `mine` is this rank's place among them. The communicator
  // outlives this, and carries no other messages.
  MpiSums(MPI_Comm communicator, std::vector<int> ranks, int mine, Wait wait);
  ~MpiSums();

  // The sum is for the one at place `receiver`, elsewhere values are left unspecified; or for everybody.
  void add(std::span<double> values, ReduceOp op, int receiver);

  // Since it was asked last.
  struct Sent {
    std::size_t bytes = 0;
    std::int64_t messages = 0;
  };
  Sent take_sent() { return std::exchange(sent_, {}); }

 private:
  struct Slot;   // copies of a piece, and what MPI does with them
  struct Piece;  // of values, cut into a slice for each rank
  static constexpr std::size_t kSlots = 3;

  void send(Slot& slot, const double* values, std::size_t count, int place, int tag);
  void receive(std::vector<MPI_Request>& requests, double* values, std::size_t count, int place, int tag);
  void await(std::vector<MPI_Request>& requests);

  void gather_and_add(std::span<double> values, ReduceOp op);
  void gather_at(Slot& slot, std::size_t count, int distance);
  void begin_gather(Slot& slot, std::span<const double> values);
  void finish_gather(Slot& slot, std::span<double> values, ReduceOp op);

  void add_by_slices(std::span<double> values, ReduceOp op, int receiver);
  void give(const Piece& piece, int receiver);
  void add_own_slice(const Piece& piece, ReduceOp op, int receiver);
  void take_sums(const Piece& piece);

  MPI_Comm communicator_;
  std::vector<int> ranks_;
  int mine_, count_;
  Wait wait_;
  std::unique_ptr<std::array<Slot, kSlots>> slots_;
  std::vector<const double*> sources_;
  Sent sent_;
};

}  // namespace muster
