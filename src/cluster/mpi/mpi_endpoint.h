// The whole run's endpoint over MPI. Where its ranks share no memory: sums over MPI's messages (mpi_sums.h), and MPI's
// own non-blocking broadcast and barrier, all polled under the same watch as every other wait. Subgroups and shrunk
// groups use the default collectives.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/group_endpoint.h"
#include "cluster/mpi/mpi_sums.h"

namespace muster {

class MpiEndpoint final : public GroupEndpoint {
 public:
  // The communicator carries the collectives and nothing else, and outlives the endpoint. Its ranks are the run's.
  MpiEndpoint(Station& station, MPI_Comm communicator);
  ~MpiEndpoint() override;

  // Traffic of broadcast and barrier is that of the usual algorithms, a binomial tree and dissemination: what MPI
  // really sends it does not tell.
  void broadcast(std::span<double> values, int root, Deadline deadline) override;
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override;
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;

 private:
  struct Staging;
  bool uses_engine() { return !shares_memory() && size() > 1; }
  void add(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline);
  // Starts a collective of MPI's on a copy of values by start(copy, request) and waits for it; the copy stays until MPI
  // is through with it.
  template <class Start>
  void run(std::span<double> values, Doing doing, const std::vector<int>& heard, Deadline deadline, Start start);

  MPI_Comm communicator_;
  MpiSums sums_;
  std::unique_ptr<Staging> staging_;  // of the collective before
};

}  // namespace muster
