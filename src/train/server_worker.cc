#include "train/server_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace muster {
namespace {

// A pass over the rows is complete when their weights are, up to rounding.
constexpr double kWholePass = 1 - 1e-9;

}  // namespace

ServerWorker::ServerWorker(Endpoint& endpoint, const ParameterServerOptions& options, const ServerPlan& plan,
                           std::unique_ptr<WorkerRule> rule, std::vector<double> start)
    : endpoint_(endpoint),
      options_(options),
      plan_(plan),
      rule_(std::move(rule)),
      codec_(options.session.compression),
      lossy_(options.session.compression.kind != MessageCompression::Kind::none),
      caches_(plan.servers.size()),
      w_(std::move(start)),
      own_weight_(plan.facts.weights[plan.place(endpoint.rank())]) {
  if (lossy_) carry_.assign(w_.size(), 0.0);
  news_.has_value = !(own_weight_ > 0);
}

void ServerWorker::work() {
  if (wanted_.empty()) choose();
  request(Request::Kind::pull);
  while (take_answers()) {
    step();
    request(Request::Kind::push_pull);
  }
  request(Request::Kind::goodbye);
}

void ServerWorker::choose() {
  if (rule_->dense()) return;
  const auto keys = rule_->next_keys();
  wanted_.assign(keys.begin(), keys.end());
}

ServerWorker::Cut ServerWorker::cut(const std::vector<std::uint32_t>& keys, std::size_t server) const {
  const KeyRange range = plan_.ranges[server];
  if (rule_->dense()) return {range.begin, range.end};
  const auto place = [&](std::size_t key) {
    return static_cast<std::size_t>(std::lower_bound(keys.begin(), keys.end(), key) - keys.begin());
  };
  return {place(range.begin), place(range.end)};
}

void ServerWorker::request(Request::Kind kind) {
  for (std::size_t s = 0; s < plan_.servers.size(); ++s) {
    Request out{.kind = kind, .clock = clock_, .dense = rule_->dense(), .news = news()};
    const KeyRange range = plan_.ranges[s];
    if (!out.dense && kind != Request::Kind::goodbye) {
      const Cut wanted = cut(wanted_, s);
      for (std::size_t i = wanted.begin; i < wanted.end; ++i)
        out.wanted_keys.push_back(wanted_[i] - static_cast<std::uint32_t>(range.begin));
    }
    std::vector<double> lost;
    const Cut pushed = cut(pushed_, s);
    if (kind == Request::Kind::push_pull) {
      out.residuals = step_.residuals;
      out.rows_weight = step_.rows_weight;
      out.curvature = step_.curvature;
      for (std::size_t i = pushed.begin; i < pushed.end; ++i) {
        const std::size_t key = out.dense ? i : pushed_[i];
        if (!out.dense) out.pushed_keys.push_back(static_cast<std::uint32_t>(key - range.begin));
        out.values.push_back(step_.values[i] + (lossy_ ? carry_[key] : 0.0));
      }
      if (lossy_) lost.resize(out.values.size());
    }
    endpoint_.send(plan_.servers[s], kRequestTag, encode(out, codec_, lost, caches_[s]));
    for (std::size_t i = 0; i < lost.size(); ++i)
      carry_[out.dense ? pushed.begin + i : pushed_[pushed.begin + i]] = lost[i];
  }
}

WorkerNews ServerWorker::news() {
  const CancellationToken* token = options_.session.cancellation;
  news_.cancelled = token != nullptr && token->cancelled();
  news_.diverged = diverged_;
  return news_;
}

// False where the coordinator says to finish.
bool ServerWorker::take_answers() {
  bool finish = false;
  std::optional<RoundReport> round;
  pulled_.resize(rule_->dense() ? w_.size() : wanted_.size());
  std::vector<std::vector<double>> extras(plan_.servers.size());
  for (std::size_t taken = 0; taken < plan_.servers.size(); ++taken) {
    const Message message = endpoint_.receive({plan_.servers, {kAnswerTag}}, Deadline::never());
    const std::size_t s = plan_.place(message.source);
    const Cut place = cut(wanted_, s);
    const Answer answer = decode_answer(message.payload, codec_, place.end - place.begin, plan_.sums(),
                                        fmt::format("rank {} on {}", message.source, endpoint_.host(message.source)));
    if (answer.kind == Answer::Kind::membership) throw MembershipChanged();
    finish = finish || answer.kind == Answer::Kind::finish;
    if (answer.round) round = answer.round;
    extras[s] = answer.extras;
    for (std::size_t i = place.begin; i < place.end; ++i) {
      double& value = w_[rule_->dense() ? i : wanted_[i]];
      value = answer.values[i - place.begin] + (answer.changes ? value : 0.0);
      pulled_[i] = value;
    }
  }
  extras_.assign(plan_.sums(), 0.0);
  for (const std::vector<double>& of_server : extras)
    for (std::size_t k = 0; k < extras_.size(); ++k) extras_[k] += of_server[k];
  if (round && options_.session.on_round) options_.session.on_round(*round, w_);
  return !finish;
}

void ServerWorker::step() {
  const Time begin = endpoint_.now();
  rule_->step(pulled_, extras_, step_);
  endpoint_.charge(step_.work);
  compute_seconds_ += endpoint_.now() - begin;
  ++clock_;
  pass_value_ += step_.value;
  pass_weight_ += step_.rows_weight;
  if (pass_weight_ > 0 && pass_weight_ >= kWholePass * own_weight_) {
    news_.value = pass_value_ * (own_weight_ / pass_weight_);
    news_.has_value = true;
    pass_value_ = pass_weight_ = 0;
  }
  // Messages carry finite numbers only: what is not ends the phase.
  const auto finite = [](double value) { return std::isfinite(value); };
  diverged_ = !std::isfinite(step_.value) || !std::isfinite(step_.curvature) ||
              !std::all_of(step_.residuals.begin(), step_.residuals.end(), finite) ||
              !std::all_of(step_.values.begin(), step_.values.end(), finite);
  if (diverged_) {
    std::fill(step_.values.begin(), step_.values.end(), 0.0);
    std::fill(step_.residuals.begin(), step_.residuals.end(), 0.0);
    step_.curvature = 0;
  }
  pushed_ = wanted_;
  choose();
}

}  // namespace muster
