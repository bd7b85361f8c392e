// The whole run's endpoint over MPI. Where its ranks share no memory: the engine's own non-blocking collectives, polled
// under the same watch as every other wait, unless the run is to be reproducible. Subgroups and shrunk groups use the
// default collectives.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/group_endpoint.h"

namespace muster {

class MpiEndpoint final : public GroupEndpoint {
 public:
  // The communicator carries the collectives and nothing else, and outlives the endpoint. Its ranks are the run's.
  MpiEndpoint(Station& station, MPI_Comm communicator);
  ~MpiEndpoint() override;

  // Traffic counts what this rank sends under the usual algorithms: binomial trees for broadcast and reduce, recursive
  // doubling for allreduce, dissemination for barrier. What Open MPI really sends it does not tell.
  void broadcast(std::span<double> values, int root, Deadline deadline) override;
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override;
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;

 private:
  struct Staging;
  struct Reduction {
    int count;
    MPI_Datatype type;
    MPI_Op op;
  };
  Reduction reduction(ReduceOp op, std::size_t values) const;
  bool uses_engine(std::size_t values);
  // Starts a collective on a copy of values by start(copy, request) and waits for it; the copy stays until MPI is
  // through with it. results: what it then holds becomes values. heard: the members without whom it could not have
  // completed here.
  template <class Start>
  void run(std::span<double> values, bool results, Doing doing, const std::vector<int>& heard, Deadline deadline,
           Start start);

  MPI_Comm communicator_;
  bool reproducible_;
  MPI_Datatype pair_ = MPI_DATATYPE_NULL;  // (high, low)
  MPI_Op sum_pairs_ = MPI_OP_NULL;
  std::unique_ptr<Staging> staging_;  // of the collective before
};

}  // namespace muster
