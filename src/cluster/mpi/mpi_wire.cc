#include "cluster/mpi/mpi_wire.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/check.h"
#include "cluster/mailbox.h"
#include "cluster/tags.h"
#include "muster/error.h"

namespace muster {

namespace {

constexpr int kHeadTag = 1;
constexpr int kPayloadTag = 2;

// Payloads up to here travel with their header: below every eager limit of Open MPI, so that a matched head can be
// received at once.
constexpr std::size_t kInlineBytes = 2048;
// MPI counts in int.
constexpr std::size_t kPieceBytes = std::size_t{1} << 30;

struct Head {
  std::uint64_t context;
  std::uint64_t payload_bytes;
  std::int32_t group_rank;
  Tag tag;
  std::uint32_t activity;
  std::uint32_t unused;
};
static_assert(sizeof(Head) == kHeaderBytes);

// While nothing happens, asks again at once where each rank can have a processor, then yields, since ranks may share
// them, and then sleeps. MPI moves data only while it is asked, so what takes less than this is not slowed down by
// sleep.
constexpr double kAskSeconds = 0.002;
constexpr double kYieldSeconds = 0.01;
constexpr double kSleepSeconds = 0.001;

// Calls transfer(start, bytes) for each piece of a payload.
template <class Transfer>
void for_pieces(Buffer& payload, Transfer transfer) {
  for (std::size_t at = 0; at < payload.size(); at += kPieceBytes) {
    transfer(payload.data() + at, static_cast<int>(std::min(kPieceBytes, payload.size() - at)));
  }
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, words, &length);
  throw ClusterError(fmt::format("{}: {}", call, std::string(words, static_cast<std::size_t>(length))));
}

bool all_complete(std::vector<MPI_Request>& requests) {
  int complete = 0;
  check_mpi(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &complete, MPI_STATUSES_IGNORE),
            "MPI_Testall");
  return complete != 0;
}

MpiWire::MpiWire(MPI_Comm communicator, MpiSharedMemory& memory) : communicator_(communicator), memory_(memory) {
  int size = 0;
  check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(communicator_, &size), "MPI_Comm_size");
  char mine[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  check_mpi(MPI_Get_processor_name(mine, &length), "MPI_Get_processor_name");
  std::vector<char> names(static_cast<std::size_t>(size) * sizeof mine);
  check_mpi(MPI_Allgather(mine, sizeof mine, MPI_CHAR, names.data(), sizeof mine, MPI_CHAR, communicator_),
            "MPI_Allgather");
  for (int r = 0; r < size; ++r) hosts_.emplace_back(names.data() + static_cast<std::size_t>(r) * sizeof mine);
  crowded_ = std::count(hosts_.begin(), hosts_.end(), host(rank_)) > sysconf(_SC_NPROCESSORS_ONLN);
  incoming_.resize(static_cast<std::size_t>(size));
}

Time MpiWire::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void MpiWire::post(int to, Envelope envelope) {
  const bool is_inline = envelope.payload.size() <= kInlineBytes;
  const Head head{envelope.context, envelope.payload.size(), envelope.group_rank, envelope.tag, envelope.activity, 0};
  Outgoing& out = outgoing_.emplace_back();
  out.to = to;
  out.head = Buffer(sizeof head + (is_inline ? envelope.payload.size() : 0));
  std::memcpy(out.head.data(), &head, sizeof head);
  if (is_inline && envelope.payload.size() > 0) {
    std::memcpy(out.head.data() + sizeof head, envelope.payload.data(), envelope.payload.size());
  }
  const auto send = [&](std::byte* start, int bytes, int tag) {
    MPI_Request& request = out.requests.emplace_back(MPI_REQUEST_NULL);
    check_mpi(MPI_Isend(start, bytes, MPI_BYTE, to, tag, communicator_, &request), "MPI_Isend");
  };
  send(out.head.data(), static_cast<int>(out.head.size()), kHeadTag);
  if (!is_inline) {
    out.payload = std::move(envelope.payload);
    for_pieces(out.payload, [&](std::byte* start, int bytes) { send(start, bytes, kPayloadTag); });
  }
  if (all_complete(out.requests)) outgoing_.pop_back();
}

MpiWire::Incoming MpiWire::receive_head(MPI_Message message, const MPI_Status& status) {
  int bytes = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
  Buffer raw(static_cast<std::size_t>(bytes));
  check_mpi(MPI_Mrecv(raw.data(), bytes, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
  Head head;
  MUSTER_CHECK(raw.size() >= sizeof head, "a message without a header");
  std::memcpy(&head, raw.data(), sizeof head);
  Incoming in;
  in.envelope = {head.context, status.MPI_SOURCE, head.group_rank, head.tag, head.activity, Buffer(head.payload_bytes)};
  Buffer& payload = in.envelope.payload;
  if (head.payload_bytes <= kInlineBytes) {
    MUSTER_CHECK(raw.size() == sizeof head + payload.size(), "a message shorter than its header says");
    if (payload.size() > 0) std::memcpy(payload.data(), raw.data() + sizeof head, payload.size());
  } else {
    for_pieces(payload, [&](std::byte* start, int piece) {
      MPI_Request& request = in.requests.emplace_back(MPI_REQUEST_NULL);
      check_mpi(MPI_Irecv(start, piece, MPI_BYTE, status.MPI_SOURCE, kPayloadTag, communicator_, &request),
                "MPI_Irecv");
    });
  }
  return in;
}

void MpiWire::pull(std::vector<Envelope>& arrived) {
  const std::size_t before = arrived.size();
  while (true) {
    int found = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check_mpi(MPI_Improbe(MPI_ANY_SOURCE, kHeadTag, communicator_, &found, &message, &status), "MPI_Improbe");
    if (found == 0) break;
    Incoming in = receive_head(message, status);
    if (in.requests.empty() && overtakes_data(in.envelope.tag)) {
      arrived.push_back(std::move(in.envelope));
    } else {
      incoming_[static_cast<std::size_t>(status.MPI_SOURCE)].push_back(std::move(in));
      ++incoming_count_;
    }
  }
  if (incoming_count_ > 0) complete_incoming(arrived);
  complete_outgoing();
  if (arrived.size() > before) begin_wait();
}

void MpiWire::complete_incoming(std::vector<Envelope>& arrived) {
  for (std::deque<Incoming>& queue : incoming_) {
    while (!queue.empty() && all_complete(queue.front().requests)) {
      arrived.push_back(std::move(queue.front().envelope));
      queue.pop_front();
      --incoming_count_;
    }
  }
}

void MpiWire::complete_outgoing() {
  std::erase_if(outgoing_, [](Outgoing& out) { return all_complete(out.requests); });
}

void MpiWire::begin_wait() {
  idle_since_ = now();
}

void MpiWire::wait(double seconds) {
  const double idle = now() - idle_since_;
  if (!crowded_ && idle < kAskSeconds) return;
  if (idle < kYieldSeconds) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(kSleepSeconds, seconds)));
  }
}

std::vector<int> MpiWire::unflushed() const {
  std::vector<int> ranks;
  for (const Outgoing& out : outgoing_) {
    if (!out.forgotten) ranks.push_back(out.to);
  }
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

std::shared_ptr<SharedBoard> MpiWire::board(const BoardGroup& group) {
  return memory_.board(group.ranks, group.area);
}

bool MpiWire::receiving() const {
  return incoming_count_ > 0;
}

void MpiWire::forget(int rank) {
  for (Outgoing& out : outgoing_) out.forgotten = out.forgotten || out.to == rank;
  // Likewise what is half received: its buffers stay, and it no longer counts.
  incoming_count_ -= incoming_[static_cast<std::size_t>(rank)].size();
  for (Incoming& in : incoming_[static_cast<std::size_t>(rank)]) forgotten_incoming_.push_back(std::move(in));
  incoming_[static_cast<std::size_t>(rank)].clear();
}

}  // namespace muster
