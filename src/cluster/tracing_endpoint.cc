#include "cluster/tracing_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <span>
#include <unordered_map>

namespace muster {

namespace {

constexpr std::size_t kMostSpans = 3'000'000;  // of all ranks: what viewers still open
constexpr std::size_t kMostSpansOfARank = 1'000'000;
constexpr double kShortestComputation = 1e-6;  // a shorter gap between two operations is not noted

std::uint64_t mix(std::uint64_t x, std::uint64_t part) {
  x = (x + 0x9e3779b97f4a7c15) ^ part;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Buffer encode(const TraceNotes& notes) {
  Buffer buffer(2 * sizeof(double) + notes.spans.size() * sizeof(TraceSpan));
  const double head[2] = {notes.origin, static_cast<double>(notes.dropped)};
  std::memcpy(buffer.data(), head, sizeof head);
  if (!notes.spans.empty()) {
    std::memcpy(buffer.data() + sizeof head, notes.spans.data(), notes.spans.size() * sizeof(TraceSpan));
  }
  return buffer;
}

const char* name(TraceSpan::Kind kind) {
  constexpr std::array<const char*, 11> kNames = {"compute",   "send",   "wait",    "receive", "broadcast", "reduce",
                                                  "allreduce", "gather", "barrier", "split",   "shrink"};
  return kNames[static_cast<std::size_t>(kind)];
}

// What one rank noted.
struct RankTrace {
  int rank = 0;
  Time origin = 0;
  std::span<const TraceSpan> spans;
};

// The ranks at both ends of each message that was noted at both: groups count their ranks anew, the trace does not.
struct MessageEnds {
  int from = -1, to = -1;
};
std::unordered_map<std::uint64_t, MessageEnds> ends_of_messages(const std::vector<RankTrace>& ranks) {
  std::unordered_map<std::uint64_t, MessageEnds> ends;
  for (const RankTrace& one : ranks) {
    for (const TraceSpan& span : one.spans) {
      if (span.flow == TraceSpan::Flow::begins) ends[span.flow_id].from = one.rank;
      if (span.flow == TraceSpan::Flow::ends) ends[span.flow_id].to = one.rank;
    }
  }
  return ends;
}

// peer: counted as rank is; -1: none, or not known.
void append_span(std::string& json, int rank, Time origin, const TraceSpan& span, int peer) {
  const auto out = std::back_inserter(json);
  const double begin = (span.begin - origin) * 1e6, length = (span.end - span.begin) * 1e6;
  fmt::format_to(out, R"({{"name":"{}","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f})", name(span.kind), rank,
                 begin, length);
  if (span.flow != TraceSpan::Flow::none) {
    const std::string known = peer >= 0 ? fmt::format(R"("peer":{},)", peer) : "";
    fmt::format_to(out, R"(,"args":{{{}"tag":{},"bytes":{}}})", known, span.tag, span.bytes);
  }
  json += "},\n";
  if (span.flow == TraceSpan::Flow::none) return;
  const bool begins = span.flow == TraceSpan::Flow::begins;
  // An arrow is drawn from the span its begin lies in to the one its end lies in.
  fmt::format_to(out,
                 R"({{"name":"message","cat":"message","ph":"{}"{},"id":"{:x}","pid":0,"tid":{},"ts":{:.3f}}},)"
                 "\n",
                 begins ? "s" : "f", begins ? "" : R"(,"bp":"e")", span.flow_id, rank, begins ? begin : begin + length);
}

}  // namespace

// A span around a collective, whose messages are noted inside.
class TracingEndpoint::Collective {
 public:
  Collective(TracingEndpoint& endpoint, TraceSpan::Kind kind) : endpoint_(endpoint) {
    span_.kind = kind;
    span_.begin = endpoint.now();
    endpoint.note_computation(span_.begin);
  }
  ~Collective() {
    span_.end = endpoint_.now();
    endpoint_.note(span_);
    endpoint_.notes_->last = span_.end;
  }
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;

 private:
  TracingEndpoint& endpoint_;
  TraceSpan span_;
};

TracingEndpoint::TracingEndpoint(Endpoint& wrapped, bool engine_collectives)
    : EndpointDecorator(wrapped), notes_(std::make_shared<TraceNotes>()), engine_collectives_(engine_collectives) {
  notes_->most = std::min(kMostSpansOfARank, kMostSpans / static_cast<std::size_t>(wrapped.size()));
  wrapped.barrier(Deadline::never());
  notes_->origin = notes_->last = wrapped.now();
}

TracingEndpoint::TracingEndpoint(std::unique_ptr<Endpoint> wrapped, const TracingEndpoint& parent, std::uint64_t group)
    : EndpointDecorator(std::move(wrapped)), notes_(parent.notes_), engine_collectives_(false), group_(group) {}

void TracingEndpoint::note(const TraceSpan& span) {
  if (notes_->spans.size() < notes_->most) {
    notes_->spans.push_back(span);
  } else {
    ++notes_->dropped;
  }
}

// What lies between two operations is computation.
void TracingEndpoint::note_computation(Time until) {
  if (until - notes_->last >= kShortestComputation) note({.begin = notes_->last, .end = until});
  notes_->last = until;
}

// Of messages with one tag from one rank to another the k-th received is the k-th sent.
std::uint64_t TracingEndpoint::flow(int from, int to, Tag tag) {
  const std::uint64_t count = ++counts_[{from, to, tag}];
  const auto pair = static_cast<std::uint64_t>(from) << 32 | static_cast<std::uint32_t>(to);
  return mix(mix(mix(group_, pair), tag), count);
}

void TracingEndpoint::send(int to, Tag tag, Buffer payload) {
  TraceSpan span{.kind = TraceSpan::Kind::send, .flow = TraceSpan::Flow::begins, .begin = now(), .tag = tag};
  span.bytes = static_cast<std::int64_t>(payload.size());
  note_computation(span.begin);
  inner().send(to, tag, std::move(payload));
  span.flow_id = flow(rank(), to, tag);
  span.end = notes_->last = now();
  note(span);
}

Message TracingEndpoint::receive(const Match& match, Deadline deadline) {
  const Time begin = now();
  note_computation(begin);
  const double waited_before = inner().traffic().wait_seconds;
  const auto note_wait = [&] {
    const Time until = std::min(now(), begin + (inner().traffic().wait_seconds - waited_before));
    if (until > begin) note({.kind = TraceSpan::Kind::wait, .begin = begin, .end = until});
    notes_->last = now();
    return until;
  };
  try {
    Message message = inner().receive(match, deadline);
    TraceSpan span{.kind = TraceSpan::Kind::receive, .flow = TraceSpan::Flow::ends};
    span.begin = note_wait();
    span.end = notes_->last = now();
    span.tag = message.tag;
    span.bytes = static_cast<std::int64_t>(message.payload.size());
    span.flow_id = flow(message.source, rank(), message.tag);
    note(span);
    return message;
  } catch (...) {
    note_wait();
    throw;
  }
}

std::optional<Message> TracingEndpoint::try_receive(const Match& match) {
  const Time begin = now();
  std::optional<Message> message = inner().try_receive(match);
  if (!message) return message;
  note_computation(begin);
  note({.kind = TraceSpan::Kind::receive,
        .flow = TraceSpan::Flow::ends,
        .begin = begin,
        .end = notes_->last = now(),
        .tag = message->tag,
        .bytes = static_cast<std::int64_t>(message->payload.size()),
        .flow_id = flow(message->source, rank(), message->tag)});
  return message;
}

void TracingEndpoint::flush(Deadline deadline) {
  const Time begin = now();
  note_computation(begin);
  inner().flush(deadline);
  notes_->last = now();
  if (notes_->last > begin) note({.kind = TraceSpan::Kind::wait, .begin = begin, .end = notes_->last});
}

// Groups are made by all their members, so the count names the new one on each.
std::unique_ptr<Endpoint> TracingEndpoint::split(int color, int key) {
  const Collective collective(*this, TraceSpan::Kind::split);
  const std::uint64_t group = mix(mix(group_ + 1, ++groups_made_), static_cast<std::uint32_t>(color));
  return std::make_unique<TracingEndpoint>(inner().split(color, key), *this, group);
}

std::unique_ptr<Endpoint> TracingEndpoint::shrink(Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::shrink);
  const std::uint64_t group = mix(mix(group_ + 2, ++groups_made_), 0);
  return std::make_unique<TracingEndpoint>(inner().shrink(deadline), *this, group);
}

std::unique_ptr<Endpoint> TracingEndpoint::subset(std::vector<int> members) {
  const std::uint64_t group = mix(mix(group_ + 3, ++groups_made_), static_cast<std::uint64_t>(members.front()));
  return std::make_unique<TracingEndpoint>(inner().subset(std::move(members)), *this, group);
}

void TracingEndpoint::broadcast(std::span<double> values, int root, Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::broadcast);
  engine_collectives_ ? inner().broadcast(values, root, deadline) : Endpoint::broadcast(values, root, deadline);
}

void TracingEndpoint::reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::reduce);
  engine_collectives_ ? inner().reduce(values, op, root, deadline) : Endpoint::reduce(values, op, root, deadline);
}

void TracingEndpoint::allreduce(std::span<double> values, ReduceOp op, Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::allreduce);
  engine_collectives_ ? inner().allreduce(values, op, deadline) : Endpoint::allreduce(values, op, deadline);
}

std::vector<Buffer> TracingEndpoint::gather(Buffer mine, int root, Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::gather);
  return engine_collectives_ ? inner().gather(std::move(mine), root, deadline)
                             : Endpoint::gather(std::move(mine), root, deadline);
}

void TracingEndpoint::barrier(Deadline deadline) {
  const Collective collective(*this, TraceSpan::Kind::barrier);
  engine_collectives_ ? inner().barrier(deadline) : Endpoint::barrier(deadline);
}

std::string TracingEndpoint::collect() {
  const std::vector<Buffer> all = inner().gather(encode(*notes_), 0, Deadline::never());
  std::string json = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  double dropped = 0;
  std::vector<RankTrace> ranks;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::span<const double> head = all[i].as<double>().first(2);
    const auto* spans = reinterpret_cast<const TraceSpan*>(all[i].data() + head.size_bytes());
    ranks.push_back({members()[i], head[0], {spans, (all[i].size() - head.size_bytes()) / sizeof(TraceSpan)}});
    dropped += head[1];
  }
  const auto ends = ends_of_messages(ranks);
  for (const RankTrace& one : ranks) {
    fmt::format_to(std::back_inserter(json),
                   R"({{"name":"thread_name","ph":"M","pid":0,"tid":{},"args":{{"name":"rank {} on {}"}}}},)"
                   "\n",
                   one.rank, one.rank, host(one.rank));
    for (const TraceSpan& span : one.spans) {
      const auto found = ends.find(span.flow_id);
      const MessageEnds message = found == ends.end() ? MessageEnds{} : found->second;
      append_span(json, one.rank, one.origin, span, span.flow == TraceSpan::Flow::begins ? message.to : message.from);
    }
  }
  if (all.empty()) return {};
  fmt::format_to(
      std::back_inserter(json),
      R"({{"name":"process_name","ph":"M","pid":0,"args":{{"name":"muster"}}}}],"otherData":{{"dropped":{}}}}})"
      "\n",
      dropped);
  return json;
}

}  // namespace muster
