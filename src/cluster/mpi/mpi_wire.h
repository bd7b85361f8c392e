// The wire over MPI: two-sided, non-blocking, polled.
//
// An envelope is one MPI message of its header and, where it is small, its payload; a larger payload follows on its own
// MPI tag, in pieces, into a buffer made when the header arrives. Headers of one source are matched in order and so are
// payloads, hence so are envelopes.
#pragma once

#include <mpi.h>

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "cluster/mpi/mpi_shared_memory.h"
#include "cluster/wire.h"

namespace muster {

// Throws ClusterError with MPI's own words unless code is success.
void check_mpi(int code, const char* call);
// Whether MPI is through with all of them; those it is through with become MPI_REQUEST_NULL, or all at once.
bool all_complete(std::vector<MPI_Request>& requests);

class MpiWire final : public Wire {
 public:
  // Collective over the communicator, which must outlive the wire, as the memory must, and carry nothing else.
  MpiWire(MPI_Comm communicator, MpiSharedMemory& memory);

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(hosts_.size()); }
  std::string host(int rank) const override { return hosts_[static_cast<std::size_t>(rank)]; }
  Time now() const override;
  void post(int to, Envelope envelope) override;
  void pull(std::vector<Envelope>& arrived) override;
  void begin_wait() override;
  void wait(double seconds) override;
  std::vector<int> unflushed() const override;
  bool receiving() const override;
  void forget(int rank) override;
  std::shared_ptr<SharedBoard> board(const BoardGroup& group) override;

 private:
  struct Outgoing {
    int to = 0;
    bool forgotten = false;  // kept all the same: MPI still holds the buffers
    Buffer head;
    Buffer payload;
    std::vector<MPI_Request> requests;
  };
  struct Incoming {
    Envelope envelope;
    std::vector<MPI_Request> requests;
  };

  Incoming receive_head(MPI_Message message, const MPI_Status& status);
  void complete_incoming(std::vector<Envelope>& arrived);
  void complete_outgoing();

  MPI_Comm communicator_;
  MpiSharedMemory& memory_;
  int rank_ = 0;
  bool crowded_ = false;  // this host has more ranks than processors
  std::vector<std::string> hosts_;
  std::list<Outgoing> outgoing_;
  std::vector<std::deque<Incoming>> incoming_;  // by source, in order
  std::size_t incoming_count_ = 0;
  std::deque<Incoming> forgotten_incoming_;  // of lost ranks: MPI still holds the buffers
  Time idle_since_ = 0;
};

}  // namespace muster
