#include "cluster/sim/simulation.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"
#include "cluster/outcome.h"
#include "cluster/tags.h"

namespace muster {

namespace {

// Reserved, not used: pages come with their first touch.
constexpr std::size_t kStackBytes = std::size_t{1} << 20;

constexpr std::uint32_t kEndKnown = Courier::kOther;

// Looking for messages again and again takes time, or a rank that polls would stop the clock. The first few looks at an
// instant are free: an operation of the endpoint may look more than once.
constexpr int kFreeLooks = 4;

// What leaves a body that must stop: none of std's, so that no handler of errors takes it for one.
struct Stopped {};

// Inboxes are heaps with the first arrival at the front.
bool later(const Arrival& a, const Arrival& b) {
  return b.before(a);
}

}  // namespace

Simulation::Simulation(int ranks, const ClusterModel& model, const EndpointOptions& options)
    : model_(model),
      options_(options),
      failures_(model_, ranks),
      courier_(model_, failures_, ranks),
      alarms_(static_cast<std::size_t>(ranks)),
      ranks_(static_cast<std::size_t>(ranks)) {
  if (model_.silence_seconds > 0) options_.silence_seconds = model_.silence_seconds;
  for (int r = 0; r < ranks; ++r) {
    const NodeModel& node = model_.nodes.empty() ? model_.default_node : model_.nodes[static_cast<std::size_t>(r)];
    const RandomStream stream(model_.seed, static_cast<std::uint32_t>(r), RandomPurpose::node_factor);
    at(r).factor = node.factor.sample(stream.uniform(0));
  }
}

Simulation::~Simulation() = default;

void Simulation::run(const std::function<void(int)>& body) {
  unfinished_ = size();
  for (int r = 0; r < size(); ++r) {
    at(r).fiber = std::make_unique<Fiber>(kStackBytes, [this, r, &body] {
      try {
        if (!over_) body(r);
      } catch (const Stopped&) {
      }
      at(r).state = State::finished;
    });
    set_alarm(r, 0);
  }
  try {
    loop();
  } catch (...) {
    over_ = true;
    for (int r = 0; r < size(); ++r) {
      while (!at(r).fiber->finished()) at(r).fiber->resume();
    }
    throw;
  }
}

void Simulation::loop() {
  while (unfinished_ > 0) {
    EventQueue& queue = courier_.queue();
    const bool has_alarm = !alarms_.empty() && alarms_.top_time() < kForever;
    if (!queue.empty() && (!has_alarm || queue.top().at < alarms_.top_time() ||
                           (queue.top().at == alarms_.top_time() && queue.top().tie < alarms_.top_tie()))) {
      handle_next_event();
      continue;
    }
    // A rank whose alarm is due has been told something that may change all: that a peer has ended.
    stalled_ = queue.empty() && everybody_is_blocked() && !(has_alarm && alarms_.top_time() <= now_);
    if (stalled_) {
      last_stall_ = blocked_ranks();
      if (hopeless()) throw Deadlock(now_, last_stall_);
    }
    MUSTER_CHECK(has_alarm, "a simulated rank neither runs nor waits");
    resume(static_cast<int>(alarms_.top()), alarms_.top_time());
    wake_all_if_cancelled();
  }
}

bool Simulation::everybody_is_blocked() const {
  if (waiting_ < unfinished_) return false;
  return std::all_of(ranks_.begin(), ranks_.end(), [](const Rank& r) {
    return r.state == State::finished || (r.inbox.empty() && r.waiting != nullptr);
  });
}

// Whether no deadline, no loss and no death that was asked for will change anything.
bool Simulation::hopeless() const {
  for (const Rank& r : ranks_) {
    if (r.state != State::finished && (r.waiting->until < kForever || r.loss_at < kForever)) return false;
  }
  for (const NodeDeath& death : model_.deaths) {
    if (death.node < size() && at(death.node).state != State::finished) return false;
  }
  return true;
}

std::vector<BlockedRank> Simulation::blocked_ranks() const {
  std::vector<BlockedRank> blocked;
  for (int r = 0; r < size(); ++r) {
    if (at(r).state == State::finished || at(r).waiting == nullptr) continue;
    const Waiting& w = *at(r).waiting;
    blocked.push_back(
        {r, host(r), w.awaited, w.match != nullptr, w.match ? w.match->tags : std::vector<Tag>{}, w.since, w.until});
  }
  return blocked;
}

void Simulation::wake_all_if_cancelled() {
  if (cancelled_ || options_.cancellation == nullptr || !options_.cancellation->cancelled()) return;
  cancelled_ = true;
  for (int r = 0; r < size(); ++r) {
    if (at(r).state == State::waiting) set_alarm(r, std::min(alarms_.time(static_cast<std::uint32_t>(r)), now_));
  }
}

void Simulation::note(std::uint64_t what, Time when) {
  ++steps_;
  hash_ = (hash_ ^ what ^ std::bit_cast<std::uint64_t>(when)) * 0x100000001b3;
  hash_ ^= hash_ >> 29;
}

// --- fibres ---

void Simulation::set_alarm(int rank, Time when) {
  const auto r = static_cast<std::uint32_t>(rank);
  alarms_.set(r, when, tie_break(model_.tie_seed, r, when));
}

void Simulation::resume(int rank, Time when) {
  Rank& r = at(rank);
  alarms_.clear(static_cast<std::uint32_t>(rank));
  if (r.state == State::waiting) --waiting_;
  r.state = State::running;
  now_ = std::max(now_, when);
  r.local = std::max(r.local, when);
  if (failures_.any()) {
    r.local = failures_.run(rank, r.local, 0);
    if (r.local >= failures_.death(rank)) die(rank);
  }
  note(static_cast<std::uint64_t>(rank) << 3 | 7, r.local);
  r.fiber->resume();
  if (r.fiber->finished()) {
    --unfinished_;
    for (const Arrival& arrival : r.inbox) courier_.drop(arrival.flight);
    r.inbox.clear();
  }
}

void Simulation::suspend(int rank, State state, Time alarm) {
  Rank& r = at(rank);
  r.state = state;
  if (state == State::waiting) ++waiting_;
  set_alarm(rank, std::min(alarm, failures_.death(rank)));
  r.fiber->suspend();
  check_alive(rank);
}

void Simulation::die(int rank) {
  at(rank).dead = true;
  at(rank).local = failures_.death(rank);
}

void Simulation::check_alive(int rank) const {
  if (over_ || at(rank).dead) throw Stopped{};
}

void Simulation::advance(int rank, double seconds) {
  Rank& r = at(rank);
  r.local = failures_.run(rank, r.local, seconds);
  if (r.local < failures_.death(rank)) return;
  die(rank);
  throw Stopped{};
}

void Simulation::charge(int rank, const Work& work) {
  Rank& r = at(rank);
  if (over_ || r.dead) return;
  const NodeModel& node = model_.nodes.empty() ? model_.default_node : model_.nodes[static_cast<std::size_t>(rank)];
  double seconds = std::max(work.flops / node.flops_per_second, work.bytes / node.bytes_per_second) * r.factor;
  if (node.round_factor.kind != Distribution::Kind::constant) {
    const RandomStream stream(model_.seed, static_cast<std::uint32_t>(rank), RandomPurpose::round_factor);
    seconds *= node.round_factor.sample(stream.uniform(r.charges));
  } else {
    seconds *= node.round_factor.a;
  }
  ++r.charges;
  advance(rank, seconds);
}

// Lets everything happen that happens before this rank's own time.
void Simulation::catch_up(int rank) {
  Rank& r = at(rank);
  while (true) {
    const EventQueue& queue = courier_.queue();
    const Time alarm = alarms_.empty() ? kForever : alarms_.top_time();
    if (alarm < r.local) return suspend(rank, State::runnable, r.local);
    if (queue.empty() || queue.top().at > r.local) break;
    handle_next_event();
  }
  now_ = r.local;
}

// --- messages ---

void Simulation::post(int from, int to, Envelope envelope) {
  Rank& r = at(from);
  if (over_ || r.dead) return;
  if (envelope.tag == kDoneTag) {
    // The same words to everybody: told once, when all that was sent before is there.
    if (r.done) return;
    r.done = true;
    r.last_words = std::move(envelope);
    landed(from, r.local);
    return;
  }
  r.looked_at = -1;
  advance(from, courier_.network().link(from, to).send_overhead_seconds);
  if (at(to).state == State::finished) return;
  if (courier_.send(from, to, r.local, std::move(envelope))) ++r.in_flight;
}

// One message fewer of this rank is under way.
void Simulation::landed(int from, Time ready) {
  Rank& r = at(from);
  r.last_ready = std::max(r.last_ready, ready);
  if (!r.done || r.in_flight > 0) return;
  const Time known = std::max(r.local, r.last_ready) + model_.inter_host.latency_seconds;
  const auto source = static_cast<std::uint32_t>(from);
  courier_.queue().push(known, tie_break(model_.tie_seed, source, known), kEndKnown, source);
}

void Simulation::handle_next_event() {
  const Event event = courier_.queue().pop();
  now_ = std::max(now_, event.at);
  if (event.kind() == kEndKnown) return handle_end(static_cast<int>(event.subject));
  const Travel& travel = courier_.travel(event.subject);
  note(static_cast<std::uint64_t>(travel.from) << 32 | static_cast<std::uint64_t>(travel.to) << 3 | event.kind(),
       event.at);
  Arrival arrival;
  if (courier_.handle(event, arrival)) return handle_arrival(arrival);
  if (courier_.lost_from() >= 0) {
    --at(courier_.lost_from()).in_flight;
    landed(courier_.lost_from(), event.at);
  }
}

void Simulation::handle_arrival(const Arrival& arrival) {
  const Travel& travel = courier_.travel(arrival.flight);
  const int to = travel.to;
  --at(travel.from).in_flight;
  landed(travel.from, arrival.ready);
  Rank& r = at(to);
  if (r.state == State::finished) return courier_.drop(arrival.flight);
  r.inbox.push_back(arrival);
  std::push_heap(r.inbox.begin(), r.inbox.end(), later);
  if (r.state == State::waiting && arrival.ready < alarms_.time(static_cast<std::uint32_t>(to))) {
    set_alarm(to, arrival.ready);
  }
}

void Simulation::handle_end(int rank) {
  note(static_cast<std::uint64_t>(rank) << 3 | kEndKnown, now_);
  ends_.push_back(rank);
  const bool well = decode_outcome(at(rank).last_words.payload).ending == RankEnding::ok;
  for (int r = 0; r < size(); ++r) {
    if (at(r).state != State::waiting || at(r).waiting == nullptr) continue;
    const std::vector<int>& awaited = at(r).waiting->awaited;
    const bool concerned = !well || std::binary_search(awaited.begin(), awaited.end(), rank);
    if (concerned && now_ < alarms_.time(static_cast<std::uint32_t>(r))) set_alarm(r, now_);
  }
}

bool Simulation::collect(int rank, std::vector<Envelope>& arrived) {
  Rank& r = at(rank);
  const Time until = r.local;
  const std::size_t before = arrived.size();
  while (!r.inbox.empty() && r.inbox.front().ready <= until) {
    std::pop_heap(r.inbox.begin(), r.inbox.end(), later);
    const std::uint32_t flight = r.inbox.back().flight;
    r.inbox.pop_back();
    const int from = courier_.travel(flight).from;
    arrived.push_back(courier_.take(flight));
    advance(rank, courier_.network().link(from, rank).receive_overhead_seconds);
  }
  for (; r.ends_seen < ends_.size(); ++r.ends_seen) {
    const int ended = ends_[r.ends_seen];
    if (ended == rank) continue;
    const Envelope& words = at(ended).last_words;
    arrived.push_back({words.context, words.source, words.group_rank, words.tag, words.activity,
                       Buffer::copy_of(words.payload.as<std::byte>())});
  }
  return arrived.size() > before;
}

void Simulation::pull(int rank, std::vector<Envelope>& arrived) {
  check_alive(rank);
  Rank& r = at(rank);
  catch_up(rank);
  bool found = collect(rank, arrived);
  r.looks = !found && r.looked_at == r.local ? r.looks + 1 : 0;
  if (r.looks >= kFreeLooks) {
    advance(rank, model_.poll_seconds);
    catch_up(rank);
    found = collect(rank, arrived);
    r.looks = 0;
  }
  r.looked_at = found ? -1 : r.local;
}

// --- waiting ---

// Finds who among the awaited will have been silent for too long, and when. Waits that follow each other count together
// as long as the silence goes on.
void Simulation::find_loss(int rank, const Waiting& waiting, const std::vector<char>& given_up) {
  Rank& r = at(rank);
  r.loss_at = kForever;
  r.loss = -1;
  if (!failures_.any()) return;
  for (const int peer : waiting.awaited) {
    if (peer == rank || given_up[static_cast<std::size_t>(peer)] != 0 || at(peer).done) continue;
    const Interval silence = failures_.silence(rank, peer, r.local, waiting.silence_seconds);
    const auto known = std::find_if(r.silent_since.begin(), r.silent_since.end(),
                                    [&](const auto& entry) { return entry.first == peer; });
    if (silence.begin > r.local && known != r.silent_since.end()) r.silent_since.erase(known);
    if (silence.begin == kForever) continue;
    Time since = std::max(silence.begin, r.local);
    if (silence.begin <= r.local) {
      if (known == r.silent_since.end()) {
        r.silent_since.emplace_back(peer, since);
      } else {
        since = known->second = std::max(known->second, silence.begin);
      }
    }
    const Time loss_at = since + waiting.silence_seconds;
    if (loss_at <= silence.end && loss_at < r.loss_at) {
      r.loss_at = loss_at;
      r.loss = peer;
    }
  }
}

int Simulation::watch(int rank, const Waiting& waiting, const std::vector<char>& given_up) {
  check_alive(rank);
  Rank& r = at(rank);
  r.looked_at = -1;
  Waiting wait = waiting;
  wait.silence_seconds = options_.silence_seconds;
  find_loss(rank, wait, given_up);
  Time until = std::min(wait.until, r.loss_at);
  if (!r.inbox.empty()) until = std::min(until, r.inbox.front().ready);
  // Pauses drawn at a rate are known some way ahead only: look again before they could have become a loss.
  if (model_.pauses_per_second > 0 && !wait.awaited.empty())
    until = std::min(until, r.local + 5 * wait.silence_seconds);
  if (until > r.local) {
    r.waiting = &wait;
    try {
      suspend(rank, State::waiting, until);
    } catch (...) {
      r.waiting = nullptr;
      throw;
    }
    r.waiting = nullptr;
  }
  const int loss = r.local >= r.loss_at ? r.loss : -1;
  r.loss_at = kForever;
  return loss;
}

}  // namespace muster
