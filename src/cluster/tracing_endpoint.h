// An Endpoint that writes down what its rank does when: computing, sending, waiting, receiving, and which message went
// where. All ranks' notes together make a trace in Chrome's format, which https://ui.perfetto.dev opens: one row per
// rank, an arrow per message.
//
// The format: "Trace Event Format", Google, 2016 (complete events "X", flows "s" and "f").
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "cluster/endpoint_decorator.h"

namespace muster {

struct TraceSpan {
  enum class Kind : std::int32_t {
    compute,
    send,
    wait,
    receive,
    broadcast,
    reduce,
    allreduce,
    gather,
    barrier,
    split,
    shrink
  };
  enum class Flow : std::int32_t { none, begins, ends };

  Kind kind = Kind::compute;
  Flow flow = Flow::none;
  Time begin = 0, end = 0;
  Tag tag = 0;
  std::int64_t bytes = 0;
  std::uint64_t flow_id = 0;  // the same at both ends of a message
};

// The notes of one rank; those of its subgroups are the same.
struct TraceNotes {
  std::vector<TraceSpan> spans;
  std::int64_t dropped = 0;  // beyond the most kept
  std::size_t most = 0;
  Time origin = 0;  // when tracing began
  Time last = 0;    // end of the last span that is no collective
};

class TracingEndpoint final : public EndpointDecorator {
 public:
  // Collective: ranks begin at a barrier, which aligns clocks that differ, to its own precision.
  // engine_collectives: leave collectives of all ranks to the transport; otherwise they run over this, so that their
  // messages show, as those of groups always do.
  TracingEndpoint(Endpoint& inner, bool engine_collectives);
  // Of a group that came from parent's, with an identity equal on all its members.
  TracingEndpoint(std::unique_ptr<Endpoint> inner, const TracingEndpoint& parent, std::uint64_t group);

  void send(int to, Tag tag, Buffer payload) override;
  Message receive(const Match& match, Deadline deadline) override;
  std::optional<Message> try_receive(const Match& match) override;
  void flush(Deadline deadline) override;

  std::unique_ptr<Endpoint> split(int color, int key) override;
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override;
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override;

  void broadcast(std::span<double> values, int root, Deadline deadline) override;
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override;
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override;
  std::vector<Buffer> gather(Buffer mine, int root, Deadline deadline) override;
  void barrier(Deadline deadline) override;

  // Collective, after the last traced operation: the trace as JSON at rank 0, elsewhere empty.
  std::string collect();

 private:
  class Collective;

  void note(const TraceSpan& span);
  void note_computation(Time until);
  std::uint64_t flow(int from, int to, Tag tag);

  std::shared_ptr<TraceNotes> notes_;
  bool engine_collectives_;
  std::uint64_t group_ = 0;
  std::uint64_t groups_made_ = 0;
  std::map<std::tuple<int, int, Tag>, std::uint64_t> counts_;  // messages so far by (from, to, tag)
};

}  // namespace muster
