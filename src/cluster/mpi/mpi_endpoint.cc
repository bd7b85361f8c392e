#include "cluster/mpi/mpi_endpoint.h"

#include <algorithm>
#include <bit>
#include <climits>

#include "base/aligned.h"
#include "base/check.h"
#include "cluster/mpi/mpi_wire.h"
#include "cluster/tree_sum.h"

namespace muster {

namespace {

extern "C" void add_pairs(void* in, void* inout, int* length, MPI_Datatype*) {
  const std::size_t count = static_cast<std::size_t>(*length) * 2;
  combine({static_cast<double*>(inout), count}, {static_cast<const double*>(in), count}, ReduceOp::sum_double_double);
}

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
      reproducible_(station.options().reproducible) {
  check_mpi(MPI_Type_contiguous(2, MPI_DOUBLE, &pair_), "MPI_Type_contiguous");
  check_mpi(MPI_Type_commit(&pair_), "MPI_Type_commit");
  check_mpi(MPI_Op_create(&add_pairs, 1, &sum_pairs_), "MPI_Op_create");
}

MpiEndpoint::~MpiEndpoint() {
  MPI_Op_free(&sum_pairs_);
  MPI_Type_free(&pair_);
}

bool MpiEndpoint::uses_engine(std::size_t values) {
  return !shares_memory() && !reproducible_ && size() > 1 && values <= static_cast<std::size_t>(INT_MAX);
}

template <class Start>
void MpiEndpoint::run(std::span<double> values, bool results, Doing doing, const std::vector<int>& heard,
                      Deadline deadline, Start start) {
  check_unbroken();
  std::unique_ptr<Staging> staging = staging_ ? std::move(staging_) : std::make_unique<Staging>();
  staging->values.resize(values.size());
  std::copy(values.begin(), values.end(), staging->values.begin());
  station().enter_engine_collective();
  check_mpi(start(staging->values.data(), &staging->request), "a collective of MPI");
  const auto done = [&] {
    int complete = 0;
    check_mpi(MPI_Test(&staging->request, &complete, MPI_STATUS_IGNORE), "MPI_Test");
    return complete != 0;
  };
  try {
    wait_for_engine(done, doing, heard, deadline);
  } catch (...) {
    (void)staging.release();  // for good: MPI may still write there
    throw;
  }
  if (results) std::copy(staging->values.begin(), staging->values.end(), values.begin());
  staging_ = std::move(staging);
}

void MpiEndpoint::broadcast(std::span<double> values, int root, Deadline deadline) {
  if (!uses_engine(values.size())) return GroupEndpoint::broadcast(values, root, deadline);
  const int count = static_cast<int>(values.size());
  run(values, rank() != root, Doing::broadcast, {root}, deadline, [&](double* staged, MPI_Request* request) {
    return MPI_Ibcast(staged, count, MPI_DOUBLE, root, communicator_, request);
  });
  const int messages = children((rank() - root + size()) % size(), size());
  count_sent(static_cast<std::size_t>(messages) * (values.size_bytes() + kHeaderBytes), messages);
}

void MpiEndpoint::reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  if (!uses_engine(values.size())) return GroupEndpoint::reduce(values, op, root, deadline);
  const Reduction how = reduction(op, values.size());
  const bool at_root = rank() == root;
  const std::vector<int> heard = at_root ? members() : std::vector<int>();
  run(values, at_root, Doing::reduce, heard, deadline, [&](double* staged, MPI_Request* request) {
    return MPI_Ireduce(at_root ? MPI_IN_PLACE : staged, staged, how.count, how.type, how.op, root, communicator_,
                       request);
  });
  if (!at_root) count_sent(values.size_bytes() + kHeaderBytes, 1);
}

// Equal bits on all ranks: Open MPI reduces every element once, by a tree or a ring, and passes the result on; an
// engine that doubles recursively instead adds the same operands on both sides, and these sums commute exactly.
void MpiEndpoint::allreduce(std::span<double> values, ReduceOp op, Deadline deadline) {
  if (!uses_engine(values.size())) return GroupEndpoint::allreduce(values, op, deadline);
  const Reduction how = reduction(op, values.size());
  run(values, true, Doing::allreduce, members(), deadline, [&](double* staged, MPI_Request* request) {
    return MPI_Iallreduce(MPI_IN_PLACE, staged, how.count, how.type, how.op, communicator_, request);
  });
  const int messages = log2_ceiling(size());
  count_sent(static_cast<std::size_t>(messages) * (values.size_bytes() + kHeaderBytes), messages);
}

void MpiEndpoint::barrier(Deadline deadline) {
  if (!uses_engine(0)) return GroupEndpoint::barrier(deadline);
  run({}, false, Doing::barrier, members(), deadline,
      [&](double*, MPI_Request* request) { return MPI_Ibarrier(communicator_, request); });
  const int messages = log2_ceiling(size());
  count_sent(static_cast<std::size_t>(messages) * kHeaderBytes, messages);
}

MpiEndpoint::Reduction MpiEndpoint::reduction(ReduceOp op, std::size_t values) const {
  const int count = static_cast<int>(values);
  switch (op) {
    case ReduceOp::sum_double_double:
      MUSTER_CHECK(values % 2 == 0, "sum_double_double needs pairs");
      return {count / 2, pair_, sum_pairs_};
    case ReduceOp::min:
      return {count, MPI_DOUBLE, MPI_MIN};
    case ReduceOp::max:
      return {count, MPI_DOUBLE, MPI_MAX};
    case ReduceOp::sum:
      break;
  }
  return {count, MPI_DOUBLE, MPI_SUM};
}

}  // namespace muster
