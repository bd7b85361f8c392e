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

// How many ranks the hosts have where all but the last have as many, a power of two, one host after the other: then the
// ranks of a host are a whole branch of the tree of sums. Otherwise 1.
int ranks_of_branches(const std::vector<int>& first_on_host) {
  const auto each = static_cast<int>(std::count(first_on_host.begin(), first_on_host.end(), 0));
  bool branches = std::has_single_bit(static_cast<unsigned>(each));
  for (int r = 0; r < static_cast<int>(first_on_host.size()); ++r) {
    branches = branches && first_on_host[static_cast<std::size_t>(r)] == r / each * each;
  }
  return branches ? each : 1;
}

// Beside those of the whole run and of groups made while it goes on.
constexpr ContextId kHostContext = ~ContextId{0};

Group ranks_between(int first, int end, int mine) {
  Group group;
  group.context = kHostContext;
  group.rank = mine - first;
  group.area = 0;  // the whole run has no use for it
  for (int r = first; r < end; ++r) {
    group.members.push_back(r - first);
    group.run_ranks.push_back(r);
  }
  return group;
}

}  // namespace

// What MPI reads and writes: a copy, since a collective given up at a deadline can not be taken back from MPI, and the
// caller's memory is gone by then. The next collective uses it again.
struct MpiEndpoint::Staging {
  AlignedVector<double> values;
  MPI_Request request = MPI_REQUEST_NULL;
};

MpiEndpoint::MpiEndpoint(Station& station, MPI_Comm communicator, const std::vector<int>& first_on_host)
    : GroupEndpoint(station, Group::whole_run(station.wire()), nullptr),
      communicator_(communicator),
      ranks_of_host_(ranks_of_branches(first_on_host)) {
  const int first = rank() / ranks_of_host_ * ranks_of_host_, end = std::min(first + ranks_of_host_, size());
  if (end - first > 1 && end - first < size())
    host_ = std::make_unique<GroupEndpoint>(station, ranks_between(first, end, rank()), this);
  if (rank() != first) return;
  std::vector<int> adding;
  for (int r = 0; r < size(); r += ranks_of_host_) adding.push_back(r);
  sums_.emplace(communicator, std::move(adding), first / ranks_of_host_,
                [this](const std::function<bool()>& done) { wait_for_engine(done); });
}

MpiEndpoint::~MpiEndpoint() = default;

// The host's group goes once everybody has been told how this rank ended, and before the last message of the run.
void MpiEndpoint::leave(const Outcome& outcome) {
  GroupEndpoint::leave(outcome);
  host_.reset();
}

// receiver: a rank, or kEverybody.
void MpiEndpoint::add(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline) {
  check_unbroken();
  if (host_) host_->reduce(values, op, 0, deadline);
  add_over_hosts(values, op, receiver == kEverybody ? kEverybody : receiver / ranks_of_host_, doing, deadline);
  const bool receives = receiver == kEverybody || receiver / ranks_of_host_ == rank() / ranks_of_host_;
  if (host_ && receives) host_->broadcast(values, 0, deadline);
}

// receiver: the number of a host.
void MpiEndpoint::add_over_hosts(std::span<double> values, ReduceOp op, int receiver, Doing doing, Deadline deadline) {
  // Ranks are compared by how many they have entered, so also those of others of their host count.
  if (!sums_) return station().enter_engine_collective();
  const bool receives = receiver == kEverybody || receiver == rank() / ranks_of_host_;
  run_engine(doing, receives ? members() : std::vector<int>(), deadline, [&] { sums_->add(values, op, receiver); });
  const MpiSums::Sent sent = sums_->take_sent();
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
