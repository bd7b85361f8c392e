#include "train/server_loop.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr std::int64_t kRoundsPerReplica = 4;

}  // namespace

ServerLoop::ServerLoop(Endpoint& endpoint, const ParameterServerOptions& options, const ServerPlan& plan,
                       std::unique_ptr<ServerRule> rule, ServerCoordinator* coordinator)
    : endpoint_(endpoint),
      options_(options),
      plan_(plan),
      rule_(std::move(rule)),
      coordinator_(coordinator),
      range_(plan.range_of(endpoint.rank())),
      codec_(options.session.compression),
      lossy_(options.session.compression.kind != MessageCompression::Kind::none),
      gate_(plan.workers.size(), options.session.sync),
      workers_(plan.workers.size()) {
  const auto& scale = options.session.estimate.scale;
  if (scale.empty()) {
    scale_.assign(range_.size(), 1.0);
  } else {
    scale_.assign(scale.begin() + static_cast<std::ptrdiff_t>(range_.begin),
                  scale.begin() + static_cast<std::ptrdiff_t>(range_.end));
  }
}

std::string ServerLoop::name(int rank) const {
  return fmt::format("rank {} on {}", rank, endpoint_.host(rank));
}

std::optional<PhaseEnd> ServerLoop::serve() {
  end_.reset();
  gate_.reopen();
  for (Worker& worker : workers_) worker.left = worker.pending = false;
  const auto all_left = [&] {
    return std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.left; });
  };
  while (!all_left()) {
    // From any member, so that the loss of any shows.
    const Message message = endpoint_.receive({{}, {kRequestTag, kPartTag, kReplicaTag}}, Deadline::never());
    if (message.tag == kPartTag) {
      on_part(message);
    } else if (message.tag == kReplicaTag) {
      on_replica(message);
    } else {
      on_request(message);
    }
  }
  return end_;
}

void ServerLoop::on_request(const Message& message) {
  const std::string sender = name(message.source);
  if (plan_.is_server(message.source)) throw ClusterError(sender + " sent a malformed message: it does not work");
  const std::size_t k = plan_.place(message.source);
  Worker& worker = workers_[k];
  worker.request = decode_request(message.payload, codec_, worker.cache, range_.size(), plan_.sums(), sender);
  const Request& request = worker.request;
  if (request.kind == Request::Kind::goodbye) {
    worker.left = true;
    gate_.leave(k);
  } else {
    if (request.kind == Request::Kind::pull) worker.has_copy = false;
    if (coordinator_ != nullptr) coordinator_->hear(k, request.news);
    if (request.kind == Request::Kind::push_pull && !synchronous()) apply(k);
    worker.pending = request.kind == Request::Kind::push_pull && synchronous();
    gate_.arrive(k, request.clock, endpoint_.now());
  }
  const bool clock_complete =
      std::all_of(workers_.begin(), workers_.end(), [](const Worker& other) { return other.pending || other.left; });
  if (clock_complete) apply_pending();
  // A clock begun is brought to its end everywhere: the other servers may have it already.
  const bool between_clocks =
      std::none_of(workers_.begin(), workers_.end(), [](const Worker& other) { return other.pending; });
  answer_released(between_clocks);
}

void ServerLoop::apply(std::size_t k) {
  Worker& worker = workers_[k];
  const Request& request = worker.request;
  const std::int64_t staleness = updates_ - worker.seen;
  endpoint_.charge(rule_->apply({.worker = static_cast<int>(k),
                                 .dense = request.dense,
                                 .keys = request.pushed_keys,
                                 .values = request.values,
                                 .residuals = request.residuals,
                                 .rows_weight = request.rows_weight,
                                 .curvature = request.curvature,
                                 .staleness = staleness,
                                 .pulled = worker.copy}));
  ++updates_;
  ++in_round_;
  if (coordinator_ != nullptr) coordinator_->count(k, request.news, staleness, request.rows_weight);
  if (in_round_ == workers_.size()) end_round();
}

void ServerLoop::apply_pending() {
  std::vector<Push> pushes;
  for (std::size_t k = 0; k < workers_.size(); ++k) {
    Worker& worker = workers_[k];
    if (!worker.pending) continue;
    worker.pending = false;
    const Request& request = worker.request;
    pushes.push_back({.worker = static_cast<int>(k),
                      .dense = request.dense,
                      .keys = request.pushed_keys,
                      .values = request.values,
                      .residuals = request.residuals,
                      .rows_weight = request.rows_weight,
                      .curvature = request.curvature,
                      .pulled = worker.copy});
    if (coordinator_ != nullptr) coordinator_->count(k, request.news, 0, request.rows_weight);
  }
  if (pushes.empty()) return;
  endpoint_.charge(rule_->apply_together(pushes));
  updates_ += static_cast<std::int64_t>(pushes.size());
  end_round();
}

void ServerLoop::end_round() {
  in_round_ = 0;
  ++rounds_;
  if (coordinator_ != nullptr) {
    const auto n = static_cast<double>(range_.size());
    endpoint_.charge({.bytes = 24 * n, .flops = 8 * n});
    coordinator_->part(plan_.place(endpoint_.rank()), rule_->estimate(scale_), false);
    coordinator_->end_round(endpoint_.now());
  } else {
    send_part();
  }
  if (options_.server.replicas > 1 && rounds_ % kRoundsPerReplica == 1) send_replicas();
}

void ServerLoop::answer_released(bool may_finish) {
  if (coordinator_ != nullptr && !end_ && may_finish) end_ = coordinator_->finished(endpoint_.now());
  for (const std::size_t k : end_ ? gate_.release_all() : gate_.release(endpoint_.now())) answer(k);
}

void ServerLoop::answer(std::size_t k) {
  Worker& worker = workers_[k];
  worker.seen = updates_;
  Answer out;
  out.kind = end_ ? Answer::Kind::finish : Answer::Kind::values;
  out.extras = rule_->extras();
  if (k == 0 && coordinator_ != nullptr && coordinator_->last_round() &&
      coordinator_->last_round()->round > told_round_) {
    out.round = coordinator_->last_round();
    told_round_ = out.round->round;
  }
  const Request& request = worker.request;
  std::vector<double> lost;
  if (request.dense) {
    out.values.resize(range_.size());
    rule_->read(out.values);
    if (lossy_ && worker.has_copy) {
      out.changes = true;
      lost.resize(range_.size());
      for (std::size_t j = 0; j < range_.size(); ++j) out.values[j] -= worker.copy[j];
    }
  } else {
    out.values.resize(request.wanted_keys.size());
    rule_->read(request.wanted_keys, out.values);
  }
  endpoint_.send(plan_.workers[k], kAnswerTag, encode(out, codec_, lost));
  if (!request.dense || !(lossy_ || rule_->wants_pulled())) return;
  if (out.changes) {
    for (std::size_t j = 0; j < range_.size(); ++j) worker.copy[j] += out.values[j] - lost[j];
  } else {
    worker.copy = std::move(out.values);
  }
  worker.has_copy = true;
}

void ServerLoop::tell_membership() {
  Answer answer;
  answer.kind = Answer::Kind::membership;
  for (const int worker : plan_.workers) endpoint_.send(worker, kAnswerTag, encode(answer, codec_, {}));
}

// square, plain, penalty, known, cancelled
void ServerLoop::send_part() {
  const auto n = static_cast<double>(range_.size());
  endpoint_.charge({.bytes = 24 * n, .flops = 8 * n});
  const RangeEstimate estimate = rule_->estimate(scale_);
  const CancellationToken* token = options_.session.cancellation;
  const std::vector<double> numbers{estimate.square, estimate.plain, estimate.penalty, estimate.known ? 1.0 : 0.0,
                                    token != nullptr && token->cancelled() ? 1.0 : 0.0};
  endpoint_.send(plan_.coordinator(), kPartTag, Buffer::copy_of(std::span<const double>(numbers)));
}

void ServerLoop::on_part(const Message& message) {
  const bool expected = coordinator_ != nullptr && plan_.is_server(message.source);
  if (!expected || message.payload.size() != 5 * sizeof(double))
    throw ClusterError(name(message.source) + " sent a malformed message: no part of an estimate");
  const auto numbers = message.payload.as<double>();
  coordinator_->part(plan_.place(message.source),
                     {.square = numbers[0], .penalty = numbers[2], .plain = numbers[1], .known = numbers[3] != 0},
                     numbers[4] != 0);
}

// To the next servers, by place. All columns one after another: their number follows from the size.
void ServerLoop::send_replicas() {
  const std::size_t servers = plan_.servers.size(), mine = plan_.place(endpoint_.rank());
  const std::size_t copies = std::min(static_cast<std::size_t>(options_.server.replicas), servers) - 1;
  if (copies == 0) return;
  std::vector<double> state;
  for (const std::vector<double>& column : rule_->columns()) state.insert(state.end(), column.begin(), column.end());
  for (std::size_t i = 1; i <= copies; ++i)
    endpoint_.send(plan_.servers[(mine + i) % servers], kReplicaTag, Buffer::copy_of(std::span<const double>(state)));
}

void ServerLoop::on_replica(const Message& message) {
  const std::string sender = name(message.source);
  const std::size_t columns = rule_->columns().size();
  if (!plan_.is_server(message.source) ||
      message.payload.size() != columns * plan_.range_of(message.source).size() * sizeof(double))
    throw ClusterError(sender + " sent a malformed message: no replica of its range");
  const auto state = message.payload.as<double>();
  const std::size_t size = plan_.range_of(message.source).size();
  std::vector<std::vector<double>>& replica = replicas_[message.source];
  replica.resize(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    const auto column = state.subspan(c * size, size);
    replica[c].assign(column.begin(), column.end());
  }
}

const std::vector<std::vector<double>>* ServerLoop::replica(int server) const {
  const auto found = replicas_.find(server);
  return found == replicas_.end() ? nullptr : &found->second;
}

}  // namespace muster
