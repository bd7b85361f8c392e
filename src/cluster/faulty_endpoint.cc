#include "cluster/faulty_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <utility>

#include "base/random.h"
#include "cluster/collectives.h"
#include "muster/error.h"

namespace muster {

namespace {

// Never sent: what a rank waits for to let time pass. Waiting, it still answers its peers.
constexpr Tag kNothing = kFirstReservedTag - 1;

}  // namespace

// A call into the endpoint: the computation before it is made as slow as it should be.
class FaultyEndpoint::Call {
 public:
  explicit Call(FaultyEndpoint& endpoint) : endpoint_(endpoint) { endpoint.enter(); }
  ~Call() { endpoint_.leave(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  FaultyEndpoint& endpoint_;
};

FaultyEndpoint::FaultyEndpoint(Endpoint& wrapped, RankFaults faults)
    : EndpointDecorator(wrapped), state_(std::make_shared<State>()) {
  state_->faults = std::move(faults);
  state_->origin = state_->idle_since = wrapped.now();
  state_->rank = static_cast<std::uint32_t>(wrapped.rank());
  run_ranks_.resize(static_cast<std::size_t>(wrapped.size()));
  std::iota(run_ranks_.begin(), run_ranks_.end(), 0);
}

FaultyEndpoint::FaultyEndpoint(std::unique_ptr<Endpoint> wrapped, std::shared_ptr<State> state,
                               std::vector<int> run_ranks)
    : EndpointDecorator(std::move(wrapped)), state_(std::move(state)), run_ranks_(std::move(run_ranks)) {}

FaultyEndpoint::~FaultyEndpoint() {
  const auto mine = [this](const Held& held) { return held.via == &inner(); };
  std::deque<Held>& held = state_->held;
  try {
    if (std::uncaught_exceptions() == 0 && std::any_of(held.begin(), held.end(), mine)) let_all_go({now() + 60});
  } catch (...) {  // the rank is failing: what it held is lost with it
  }
  std::erase_if(held, mine);
}

void FaultyEndpoint::enter() {
  const Time begin = now();
  const double computed = begin - state_->idle_since;
  state_->idle_since = begin;
  if (state_->faults.slowness > 1 && computed > 0) pass(computed * (state_->faults.slowness - 1));
  if (state_->faults.dies_at >= 0 && now() >= state_->origin + state_->faults.dies_at) {
    state_->held.clear();
    throw ClusterError(fmt::format("died, as described, after {} s", state_->faults.dies_at));
  }
  let_go();
}

void FaultyEndpoint::pass(double seconds) {
  try {
    inner().receive({{rank()}, {kNothing}}, {now() + seconds});
  } catch (const Timeout&) {  // what was waited for
  }
}

double FaultyEndpoint::delay_to(int to) {
  const Time at = now() - state_->origin;
  const int run_rank = run_ranks_[static_cast<std::size_t>(to)];
  double seconds = 0;
  for (const RankFaults::Delay& delay : state_->faults.delays) {
    const bool concerned = delay.to.empty() || std::find(delay.to.begin(), delay.to.end(), run_rank) != delay.to.end();
    if (!concerned || at < delay.at || at >= delay.until) continue;
    const RandomStream stream(state_->faults.seed, state_->rank, RandomPurpose::jitter);
    seconds += delay.seconds + delay.extra_seconds * stream.uniform(state_->drawn++);
  }
  return seconds;
}

void FaultyEndpoint::let_go() {
  while (!state_->held.empty() && state_->held.front().leaves <= now()) {
    Held first = std::move(state_->held.front());
    state_->held.pop_front();
    first.via->send(first.to, first.tag, std::move(first.payload));
  }
}

void FaultyEndpoint::let_all_go(Deadline deadline) {
  let_go();
  while (!state_->held.empty() && !deadline.passed(now())) {
    pass(std::min(state_->held.front().leaves, deadline.at) - now());
    let_go();
  }
}

void FaultyEndpoint::send(int to, Tag tag, Buffer payload) {
  const Call call(*this);
  const Time leaves = std::max(now() + delay_to(to), state_->held.empty() ? 0 : state_->held.back().leaves);
  if (state_->held.empty() && leaves <= now()) return inner().send(to, tag, std::move(payload));
  state_->held.push_back({leaves, &inner(), to, tag, std::move(payload)});
}

Message FaultyEndpoint::receive(const Match& match, Deadline deadline) {
  const Call call(*this);
  if (!state_->held.empty()) {
    if (std::optional<Message> message = inner().try_receive(match)) return std::move(*message);
    let_all_go(deadline);
  }
  return inner().receive(match, deadline);
}

std::optional<Message> FaultyEndpoint::try_receive(const Match& match) {
  const Call call(*this);
  return inner().try_receive(match);
}

// Part of a computation, not its end: only what is due leaves.
void FaultyEndpoint::progress() {
  inner().progress();
  let_go();
}

void FaultyEndpoint::flush(Deadline deadline) {
  const Call call(*this);
  let_all_go(deadline);
  inner().flush(deadline);
}

void FaultyEndpoint::close(std::string_view cause) {
  if (cause.empty()) let_all_go({now() + 60});
  inner().close(cause);
}

void FaultyEndpoint::charge(const Work& work) {
  inner().charge(work);
  enter();
  leave();
}

std::unique_ptr<Endpoint> FaultyEndpoint::split(int color, int key) {
  const Call call(*this);
  let_all_go(Deadline::never());
  const bool by_name = std::any_of(state_->faults.delays.begin(), state_->faults.delays.end(),
                                   [](const RankFaults::Delay& delay) { return !delay.to.empty(); });
  std::vector<int> run_ranks;
  if (by_name) run_ranks = run_ranks_of(color, key);
  std::unique_ptr<Endpoint> group = inner().split(color, key);
  run_ranks.resize(static_cast<std::size_t>(group->size()));
  return std::make_unique<FaultyEndpoint>(std::move(group), state_, std::move(run_ranks));
}

// Who is who in the group that a split makes, by its own rule.
std::vector<int> FaultyEndpoint::run_ranks_of(int color, int key) {
  std::vector<double> choices(2 * static_cast<std::size_t>(size()));
  choices[2 * static_cast<std::size_t>(rank())] = color;
  choices[2 * static_cast<std::size_t>(rank()) + 1] = key;
  tree_allreduce(inner(), choices, ReduceOp::sum, Deadline::never());
  std::vector<std::pair<double, int>> chosen;  // (key, rank) of equal colour
  for (const int member : members()) {
    const std::size_t at = 2 * static_cast<std::size_t>(member);
    if (choices[at] == color) chosen.emplace_back(choices[at + 1], member);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<int> run_ranks;
  for (const auto& [member_key, member] : chosen) run_ranks.push_back(run_ranks_[static_cast<std::size_t>(member)]);
  return run_ranks;
}

std::unique_ptr<Endpoint> FaultyEndpoint::shrink(Deadline deadline) {
  const Call call(*this);
  return std::make_unique<FaultyEndpoint>(inner().shrink(deadline), state_, run_ranks_);
}

std::unique_ptr<Endpoint> FaultyEndpoint::subset(std::vector<int> members) {
  return std::make_unique<FaultyEndpoint>(inner().subset(std::move(members)), state_, run_ranks_);
}

}  // namespace muster
