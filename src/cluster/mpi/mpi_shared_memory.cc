#include "cluster/mpi/mpi_shared_memory.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "cluster/mpi/mpi_wire.h"

namespace muster {

namespace {

// Area 0: 128 KB, of which there are four for each rank: pieces on their way stay in its cache. The others less, so
// that hosts with little memory to share have enough.
constexpr std::size_t kSlotValues = 16 * 1024, kSplitSlotValues = 4 * 1024;
// With those of the whole run's splits: a grid makes two.
constexpr int kAreas = 5;

std::size_t slot_values_of(int area) {
  return area == 0 ? kSlotValues : kSplitSlotValues;
}

// Where an area starts in the memory of a rank; of kAreas, how long that is.
std::size_t start_of(int area) {
  std::size_t start = 0;
  for (int a = 0; a < area; ++a) start += SharedBoard::bytes_of_member(slot_values_of(a));
  return start;
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

MpiSharedMemory::MpiSharedMemory(MPI_Comm communicator, int ranks_per_host) {
  find_hosts(communicator, ranks_per_host);
  const bool made = make_window();
  if (!true_of_all(made, communicator)) {
    why_not_ =
        "MPI_Win_allocate_shared gave no memory to ranks of one host (is /dev/shm full, or Open MPI's osc sm switched "
        "off?): they add up by messages, which takes longer and gives the same model";
    memory_.clear();  // the windows of some can not be freed without the others
    window_ = MPI_WIN_NULL;
    std::iota(first_on_host_.begin(), first_on_host_.end(), 0);
  }
  check_mpi(MPI_Barrier(communicator), "MPI_Barrier");  // all places are made
}

void MpiSharedMemory::find_hosts(MPI_Comm communicator, int ranks_per_host) {
  int ranks = 0;
  MPI_Comm_size(communicator, &ranks);
  MPI_Comm_rank(communicator, &rank_);
  check_mpi(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host_), "MPI_Comm_split_type");
  if (ranks_per_host > 0) {
    MPI_Comm machine = host_;
    check_mpi(MPI_Comm_split(machine, rank_ / ranks_per_host, 0, &host_), "MPI_Comm_split");
    MPI_Comm_free(&machine);
  }
  MPI_Comm_set_errhandler(host_, MPI_ERRORS_RETURN);
  int first = rank_;
  check_mpi(MPI_Bcast(&first, 1, MPI_INT, 0, host_), "MPI_Bcast");
  first_on_host_.resize(static_cast<std::size_t>(ranks));
  check_mpi(MPI_Allgather(&first, 1, MPI_INT, first_on_host_.data(), 1, MPI_INT, communicator), "MPI_Allgather");
}

// True where nobody is to share.
bool MpiSharedMemory::make_window() {
  int ranks = 0;
  MPI_Comm_size(host_, &ranks);
  if (ranks == 1) return true;
  // Pages start alike in all processes, so the aligned place of a rank is the same one for all.
  const auto bytes = static_cast<MPI_Aint>(start_of(kAreas) + alignof(BoardPlace));
  void* mine = nullptr;
  const bool made = MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, host_, &mine, &window_) == MPI_SUCCESS;
  if (!true_of_all(made, host_)) return false;
  for (int area = 0; area < kAreas; ++area) SharedBoard::make_place(aligned(mine) + start_of(area));
  memory_.resize(first_on_host_.size());
  const int here = first_on_host_[static_cast<std::size_t>(rank_)];
  int on_host = 0;  // the next rank's number among those here
  for (std::size_t r = 0; r < first_on_host_.size(); ++r) {
    if (first_on_host_[r] != here) continue;
    MPI_Aint size = 0;
    int unit = 0;
    void* start = nullptr;
    check_mpi(MPI_Win_shared_query(window_, on_host++, &size, &unit, &start), "MPI_Win_shared_query");
    memory_[r] = aligned(start);
  }
  return true;
}

std::shared_ptr<SharedBoard> MpiSharedMemory::board(const std::vector<int>& ranks, int area) {
  if (area < 0 || area >= kAreas || memory_.empty()) return nullptr;
  std::vector<std::byte*> memory;
  for (const int rank : ranks) {
    std::byte* const start = memory_[static_cast<std::size_t>(rank)];
    if (start == nullptr) return nullptr;
    memory.push_back(start + start_of(area));
  }
  return std::make_shared<SharedBoard>(memory, nullptr, slot_values_of(area), false);
}

MpiSharedMemory::~MpiSharedMemory() {
  if (window_ != MPI_WIN_NULL) MPI_Win_free(&window_);
  MPI_Comm_free(&host_);
}

}  // namespace muster
