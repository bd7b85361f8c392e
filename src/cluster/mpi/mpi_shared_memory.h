// Memory that the ranks of a run share with those on their host.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cluster/shared_board.h"

namespace muster {

class MpiSharedMemory {
 public:
  // Collective over the communicator, of all ranks. ranks_per_host as in EndpointOptions.
  MpiSharedMemory(MPI_Comm communicator, int ranks_per_host);
  // Collective, too; no board is used any more.
  ~MpiSharedMemory();
  MpiSharedMemory(const MpiSharedMemory&) = delete;
  MpiSharedMemory& operator=(const MpiSharedMemory&) = delete;

  // The first rank on the host of each rank: the same on all ranks, and the ranks of a host share memory if they are
  // several.
  const std::vector<int>& first_on_host() const { return first_on_host_; }
  // For the user, where the ranks of a host share none, so that each counts as on a host of its own; otherwise empty.
  const std::string& why_not() const { return why_not_; }

  // A member for each of these ranks, where they are on this host. Each area serves one group of a rank, and there are
  // few: null where there is none, on all ranks of the group alike.
  std::shared_ptr<SharedBoard> board(const std::vector<int>& ranks, int area);

 private:
  void find_hosts(MPI_Comm communicator, int ranks_per_host);
  bool make_window();

  MPI_Comm host_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  int rank_ = 0;
  std::vector<int> first_on_host_;
  std::vector<std::byte*> memory_;  // of the ranks on this host, null elsewhere
  std::string why_not_;
};

}  // namespace muster
