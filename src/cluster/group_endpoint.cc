#include "cluster/group_clocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "base/check.h"
#include "muster/error.h"

namespace muster {

namespace {

// How long the engine is asked in a row before a wait that looks about it, and how often between two looks at the
// clock: where ranks share processors a single question may take long, and others ask this rank for a sign of life.
constexpr double kEngineSpinSeconds = 1e-4;
constexpr int kTestsAtOnce = 8;

}  // namespace

Group Group::whole_run(const Wire& wire) {
  Group group;
  group.rank = wire.rank();
  group.members.resize(static_cast<std::size_t>(wire.size()));
  std::iota(group.members.begin(), group.members.end(), 0);
  group.run_ranks = group.members;
  group.area = 0;
  return group;
}

GroupEndpoint::GroupEndpoint(Station& station, Group group, GroupEndpoint* parent)
    : station_(station), group_(std::move(group)), parent_(parent), exceptions_at_start_(std::uncaught_exceptions()) {}

GroupEndpoint::~GroupEndpoint() {
  try {
    // On the way out of a failing rank nothing is announced here: the cause follows from where the exception is caught,
    // and must be the first that peers hear.
    if (std::uncaught_exceptions() > exceptions_at_start_) closed_ = true;
    station_.wire().leave_board(group_.context, group_.members.size());
    close({});
    if (group_.context != 0) station_.release(group_.context);
  } catch (...) {  // the run is over for this rank: nobody is left to tell
  }
}

std::string GroupEndpoint::host(int rank) const {
  check_member(rank);
  return station_.wire().host(run_rank(rank));
}

void GroupEndpoint::count_sent(std::size_t bytes, std::int64_t messages) {
  for (GroupEndpoint* e = this; e != nullptr; e = e->parent_) {
    e->traffic_.bytes_sent += static_cast<std::int64_t>(bytes);
    e->traffic_.messages_sent += messages;
  }
}

void GroupEndpoint::check_member(int rank) const {
  MUSTER_CHECK(rank >= 0 && rank < size(), "a rank outside the group");
}

void GroupEndpoint::send(int to, Tag tag, Buffer payload) {
  MUSTER_CHECK(tag < kFirstControlTag, "a tag reserved for the transport");
  check_member(to);
  const Timed timed(*this, doing_of(tag, Doing::sending));
  if (to == rank()) return context().mailbox.deliver({to, tag, std::move(payload)});
  const std::size_t bytes = payload.size() + kHeaderBytes;
  station_.pull();
  if (ended(to) != nullptr) return;
  if (!context().credit[{to, is_reserved(tag)}].allows(bytes, station_.options().credit_bytes)) {
    wait_for_credit(to, tag, bytes);
    if (ended(to) != nullptr) return;
  }
  context().credit[{to, is_reserved(tag)}].sent(bytes);
  count_sent(bytes, 1);
  station_.post(run_rank(to), group_.context, rank(), tag, std::move(payload));
}

void GroupEndpoint::wait_for_credit(int to, Tag tag, std::size_t bytes) {
  const std::int32_t group_rank = to;
  station_.post(run_rank(to), group_.context, rank(), kWantCreditTag,
                Buffer::copy_of(std::span<const std::int32_t>(&group_rank, 1)));
  const CreditAccount& account = context().credit[{to, is_reserved(tag)}];
  station_.begin_wait();
  const WaitClock clock(*this);
  while (ended(to) == nullptr && !account.allows(bytes, station_.options().credit_bytes)) {
    check_cancelled();
    wait_step({run_rank(to)}, Deadline::never());
    if (is_reserved(tag)) check_collective();
  }
}

void GroupEndpoint::wait_step(const std::vector<int>& run_ranks, Deadline deadline) {
  station_.check_own_standing();
  station_.wait(run_ranks, deadline.at);
}

std::optional<Message> GroupEndpoint::take(const Match& match) {
  std::optional<Message> message = context().mailbox.take(match);
  if (!message || message->source == rank()) return message;
  const bool reserved = is_reserved(message->tag);
  const bool impatient = context().impatient.contains(message->source);
  const std::size_t at_least = impatient ? 1 : std::max<std::size_t>(1, station_.options().credit_bytes / 4);
  const std::uint64_t given[2] = {context().mailbox.settle(message->source, reserved, at_least), reserved};
  if (given[0] != 0) {
    station_.post(run_rank(message->source), group_.context, rank(), kCreditTag,
                  Buffer::copy_of(std::span<const std::uint64_t>(given)));
  }
  return message;
}

Message GroupEndpoint::receive(const Match& match, Deadline deadline) {
  const bool collective = !match.tags.empty() && is_reserved(match.tags.front());
  const Timed timed(*this, match.tags.empty() ? Doing::receiving : doing_of(match.tags.front(), Doing::receiving));
  if (collective) check_unbroken();
  for (const int source : match.sources) check_member(source);
  const Time start = now();
  const std::vector<int> awaited = awaited_peers(match.sources);
  MUSTER_CHECK(!awaited.empty() || deadline.at < Deadline::never().at || context().mailbox.queued() > 0,
               "a rank waits for a message from itself that it has not sent");
  station_.begin_wait(&match);
  std::optional<WaitClock> clock;
  try {
    while (true) {
      station_.pull();
      check_cancelled();
      if (std::optional<Message> message = take(match)) return std::move(*message);
      if (collective) check_collective();
      check_awaited(match);
      if (deadline.passed(now())) break;
      if (!clock) clock.emplace(*this);
      wait_step(awaited, deadline);
    }
  } catch (const Error&) {
    broken_ = broken_ || collective;
    throw;
  }
  station_.end_wait(awaited);
  broken_ = broken_ || collective;
  throw_timeout(match.sources.size() == 1 ? station_.name(run_rank(match.sources[0])) : "any of its peers", start);
}

void GroupEndpoint::throw_timeout(const std::string& waiting_for, Time since) const {
  throw Timeout(fmt::format("{} waited {:.1f} s for {}, until the deadline", station_.name(station_.rank()),
                            now() - since, waiting_for));
}

void GroupEndpoint::run_engine(Doing doing, const std::vector<int>& heard, Deadline deadline,
                               const std::function<void()>& collective) {
  const Timed timed(*this, doing);
  check_unbroken();
  collective_deadline_ = deadline;
  station_.enter_engine_collective();
  try {
    check_cancelled();
    collective();
  } catch (const Error&) {
    broken_ = true;
    throw;
  }
  for (const int member : heard) station_.note_sign(run_rank(member), {doing, false});
}

void GroupEndpoint::wait_for_engine(const std::function<bool()>& done) {
  const Time start = now();
  do {
    for (int k = 0; k < kTestsAtOnce; ++k) {
      if (done()) return;
    }
  } while (now() < start + kEngineSpinSeconds);
  const std::vector<int> awaited = awaited_peers({});
  station_.begin_wait();
  const WaitClock clock(*this);
  while (true) {
    station_.pull();
    check_cancelled();
    if (done()) return;
    check_collective();
    check_engine_collective();
    if (collective_deadline_.passed(now())) throw_timeout("the other members of a collective", start);
    wait_step(awaited, collective_deadline_);
  }
}

std::optional<Message> GroupEndpoint::try_receive(const Match& match) {
  const Timed timed(*this, match.tags.empty() ? Doing::receiving : doing_of(match.tags.front(), Doing::receiving));
  station_.pull();
  station_.check_own_standing();
  check_cancelled();
  return take(match);
}

void GroupEndpoint::progress() {
  station_.set_activity({station_.activity().doing, true});
  station_.pull();
}

void GroupEndpoint::flush(Deadline deadline) {
  const Timed timed(*this, Doing::flushing);
  const Time start = now();
  station_.begin_wait();
  const WaitClock clock(*this);
  for (std::vector<int> pending = station_.wire().unflushed(); !pending.empty();
       pending = station_.wire().unflushed()) {
    check_cancelled();
    if (deadline.passed(now())) throw_timeout(station_.name(pending.front()), start);
    wait_step(pending, deadline);
  }
}

void GroupEndpoint::close(std::string_view cause) {
  if (closed_) return;
  closed_ = true;
  const Outcome outcome{cause.empty() ? RankEnding::ok : RankEnding::failed, station_.rank(), std::string(cause),
                        station_.engine_collectives()};
  for (const int member : group_.members) {
    if (member == rank()) continue;
    station_.post(run_rank(member), group_.context, rank(), kClosedTag, encode(outcome));
  }
}

void GroupEndpoint::leave(const Outcome& outcome) {
  closed_ = true;
  station_.announce_done(outcome);
}

}  // namespace muster
