#include "cluster/mpi/mpi_endpoint.h"

#include <algorithm>
#include <bit>
#include <climits>

#include "base/aligned.h"
#include "cluster/mpi/mpi_wire.h"

namespace muster {

namespace {

int log2_ceiling(int count) {
  return std::bit_width(static_cast<unsigned>(count - 1));
}

// Children in a binomial tree of `count` nodes.
int children(int relative, int count) {
  int result = 0;
  for (int bit = 1; relative + bit < count && (relative & bit) == 0; bit <<= 1) ++result;
  return result;
}

}  // namespace

// What MPI reads and writes: a copy, since a collective given up at a deadline can not be taken back from MPI, and the
// caller's memory is gone by then. The next collective uses it again.
struct MpiEndpoint::Staging {
  AlignedVector<double> values;
  MPI_Request request = MPI_REQUEST_NULL;
};

MpiEndpoint::MpiEndpoint(Station& station, MPI_Comm communicator)
    : GroupEndpoint(station, Group::whole_run(station.wire()), nullptr),
      communicator_(communicator),
      sums_(communicator, members(), rank(), [this](const std::function<bool()>& done) { wait_for_engine(done); }) {}

MpiEndpoint::~MpiEndpoint() = default;

void MpiEndpoint::add(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline) {
  const bool receives = receiver == kEverybody || receiver == rank();
  run_engine(doing, receives ? members() : std::vector<int>(), deadline, [&] { sums_.add(values, op, receiver); });
  const MpiSums::Sent sent = sums_.take_sent();
  count_sent(sent.bytes, sent.messages);
}

void MpiEndpoint::reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  if (!uses_engine()) return GroupEndpoint::reduce(values, op, root, deadline);
  add(values, op, root, Doing::reduce, deadline);
}

void MpiEndpoint::allreduce(std::span<double> values, ReduceOp op, Deadline deadline) {
  if (!uses_engine()) return GroupEndpoint::allreduce(values, op, deadline);
  add(values, op, kEverybody, Doing::allreduce, deadline);
}

template <class Start>
void MpiEndpoint::run(std::span<double> values, Doing doing, const std::vector<int>& heard, Deadline deadline,
                      Start start) {
  std::unique_ptr<Staging> staging = staging_ ? std::move(staging_) : std::make_unique<Staging>();
  staging->values.resize(values.size());
  std::copy(values.begin(), values.end(), staging->values.begin());
  try {
    run_engine(doing, heard, deadline, [&] {
      check_mpi(start(staging->values.data(), &staging->request), "a collective of MPI");
      wait_for_engine([&] {
        int complete = 0;
        check_mpi(MPI_Test(&staging->request, &complete, MPI_STATUS_IGNORE), "MPI_Test");
        return complete != 0;
      });
    });
  } catch (...) {
    (void)staging.release();  // for good: MPI may still write there
    throw;
  }
  std::copy(staging->values.begin(), staging->values.end(), values.begin());
  staging_ = std::move(staging);
}

void MpiEndpoint::broadcast(std::span<double> values, int root, Deadline deadline) {
  if (!uses_engine() || values.size() > INT_MAX) return GroupEndpoint::broadcast(values, root, deadline);
  const int count = static_cast<int>(values.size());
  run(values, Doing::broadcast, {root}, deadline, [&](double* staged, MPI_Request* request) {
    return MPI_Ibcast(staged, count, MPI_DOUBLE, root, communicator_, request);
  });
  const int messages = children((rank() - root + size()) % size(), size());
  count_sent(static_cast<std::size_t>(messages) * (values.size_bytes() + kHeaderBytes), messages);
}

void MpiEndpoint::barrier(Deadline deadline) {
  if (!uses_engine()) return GroupEndpoint::barrier(deadline);
  run({}, Doing::barrier, members(), deadline,
      [&](double*, MPI_Request* request) { return MPI_Ibarrier(communicator_, request); });
  const int messages = log2_ceiling(size());
  count_sent(static_cast<std::size_t>(messages) * kHeaderBytes, messages);
}

}  // namespace muster
