// The whole run's endpoint over MPI. Where its ranks share no memory: sums over MPI's messages (mpi_sums.h), and MPI's
// own non-blocking broadcast and barrier, all polled under the same watch as every other wait. Subgroups go by memory
// where they share some, by messages otherwise.
//
// Where every host's ranks are a whole branch of the tree of sums, they add in their memory first, and one of each host
// adds over the hosts: each cable carries the values once each way however many ranks a host has, and the order of
// addition stays as it is. That is so where ranks go to hosts one after the other, each but the last having the same
// power of two.
#pragma once

#include <mpi.h>

#include <memory>
#include <optional>
#include <vector>

#include "cluster/group_endpoint.h"
#include "cluster/mpi/mpi_sums.h"

namespace muster {

class MpiEndpoint final : public GroupEndpoint {
 public:
  // The communicator carries the collectives and nothing else, and outlives the endpoint. Its ranks are the run's.
  // first_on_host: of each rank, the first that it shares memory with.
  MpiEndpoint(Station& station, MPI_Comm communicator, const std::vector<int>& first_on_host);
  ~MpiEndpoint() override;

  // Traffic of broadcast and barrier is that of the usual algorithms, a binomial tree and dissemination: what MPI
  // really sends it does not tell.
  void broadcast(std::span<double> values, int root, Deadline deadline) override;
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override;
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;

  void leave(const Outcome& outcome) override;

 private:
  struct Staging;
  bool uses_engine() { return !shares_memory() && size() > 1; }
  void add(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline);
  void add_over_hosts(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline);
  // Starts a collective of MPI's on a copy of values by start(copy, request) and waits for it; the copy stays until MPI
  // is through with it.
  template <class Start>
  void run(std::span<double> values, Doing doing, const std::vector<int>& heard, Deadline deadline, Start start);

  MPI_Comm communicator_;
  int ranks_of_host_ = 1;                // of each host but the last, where its ranks add first
  std::unique_ptr<GroupEndpoint> host_;  // those ranks; null where there is one
  std::optional<MpiSums> sums_;          // of the ranks that add over the hosts
  std::unique_ptr<Staging> staging_;     // of the collective before
};

}  // namespace muster
