// Memory that all ranks of a run share, where they are on one host.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/shared_board.h"

namespace muster {

class MpiSharedMemory {
 public:
  // Collective over the communicator. Where ranks are on several hosts, or the host gives no memory to share, there is
  // none, on all ranks alike.
  explicit MpiSharedMemory(MPI_Comm communicator);
  // Collective, too; the board is not used any more.
  ~MpiSharedMemory();
  MpiSharedMemory(const MpiSharedMemory&) = delete;
  MpiSharedMemory& operator=(const MpiSharedMemory&) = delete;

  // A member for each rank; null where there is none.
  const std::shared_ptr<SharedBoard>& board() const { return board_; }

 private:
  MPI_Win window_ = MPI_WIN_NULL;
  std::shared_ptr<SharedBoard> board_;
};

}  // namespace muster
