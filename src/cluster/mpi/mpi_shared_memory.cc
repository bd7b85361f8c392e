#include "cluster/mpi/mpi_shared_memory.h"

#include <cstdint>
#include <vector>

#include "cluster/mpi/mpi_wire.h"

namespace muster {

namespace {

// 128 KB, of which there are four for each rank: pieces on their way stay in its cache.
constexpr std::size_t kSlotValues = 16 * 1024;

bool on_one_host(MPI_Comm communicator) {
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host), "MPI_Comm_split_type");
  int here = 0, all = 0;
  MPI_Comm_size(host, &here);
  MPI_Comm_size(communicator, &all);
  MPI_Comm_free(&host);
  return here == all;
}

bool true_of_all(bool mine, MPI_Comm communicator) {
  int all = mine ? 1 : 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, communicator), "MPI_Allreduce");
  return all != 0;
}

std::byte* aligned(void* start) {
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  return static_cast<std::byte*>(start) + (alignof(BoardPlace) - address % alignof(BoardPlace)) % alignof(BoardPlace);
}

}  // namespace

MpiSharedMemory::MpiSharedMemory(MPI_Comm communicator) {
  int ranks = 0, rank = 0;
  MPI_Comm_size(communicator, &ranks);
  MPI_Comm_rank(communicator, &rank);
  if (!true_of_all(on_one_host(communicator), communicator) || ranks == 1) return;
  // Pages start alike in all processes, so the aligned place of a rank is the same one for all.
  const auto bytes = static_cast<MPI_Aint>(SharedBoard::bytes_of_member(kSlotValues) + alignof(BoardPlace));
  void* mine = nullptr;
  const bool made = MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, communicator, &mine, &window_) == MPI_SUCCESS;
  if (!true_of_all(made, communicator)) return;  // the windows of some can not be freed without the others
  SharedBoard::make_place(aligned(mine));
  std::vector<std::byte*> memory;
  for (int r = 0; r < ranks; ++r) {
    MPI_Aint size = 0;
    int unit = 0;
    void* start = nullptr;
    check_mpi(MPI_Win_shared_query(window_, r, &size, &unit, &start), "MPI_Win_shared_query");
    memory.push_back(aligned(start));
  }
  board_ = std::make_shared<SharedBoard>(memory, nullptr, kSlotValues, false);
  check_mpi(MPI_Barrier(communicator), "MPI_Barrier");  // all places are made
}

MpiSharedMemory::~MpiSharedMemory() {
  if (board_) MPI_Win_free(&window_);
}

}  // namespace muster
