#include "train/decentralized_pairwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "train/mapreduce.h"

namespace muster {
namespace {

using Kind = PairMessage::Kind;

constexpr double kMuchSlower = 1.5, kMuchFaster = 0.5;  // a neighbour's gradient, in times of the own
constexpr double kPaceMemory = 0.75;                    // of the mean of past paces in the next one
constexpr std::int64_t kMostStepsAhead = 100;
constexpr int kMostTimesShortened = 60;

std::vector<int> neighbours_of(const StageContext& context) {
  std::vector<int> nodes;
  for (const WeightedNeighbour& neighbour : context.topology.row(context.endpoint.rank()).in)
    nodes.push_back(neighbour.node);
  return nodes;
}

bool all_finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

PairwiseStage::PairwiseStage(const StageContext& context, std::vector<double> start)
    : context_(context),
      neighbours_(neighbours_of(context)),
      codec_(context.options.session.compression),
      step_(context.options.step_size > 0 ? context.options.step_size : 1 / context.lipschitz),
      consensus_step_(first_consensus_step(context.options.session.compression, context.node.dimension())),
      phases_({}, 1),
      stop_(context.options.session.estimate),
      diameter_(std::max(1, diameter(context.topology))) {
  const std::size_t n = start.size();
  for (const WeightedNeighbour& neighbour : context.topology.row(context.endpoint.rank()).in)
    links_.emplace(neighbour.node, Link{neighbour.weight, PublicCopy(n, n), PublicCopy(n, n)});
  begin(std::move(start));
}

PairwiseStage::~PairwiseStage() {
  for (const auto& [neighbour, link] : links_)
    context_.run.waited_for_seconds[static_cast<std::size_t>(neighbour)] += link.waited_seconds;
}

void PairwiseStage::begin(std::vector<double> start) {
  const std::size_t n = start.size();
  best_ = before_ = at_opening_ = start;
  gradient_.resize(n);
  difference_.resize(n);
  rule_ = std::make_unique<PairwiseRule>(std::move(start), step_, dual_step_, context_.options.session.l1);
  for (auto& [neighbour, link] : links_) {
    link.own = link.theirs = PublicCopy(n, n);
    link.distance = 0;
    link.scaled_distance = -1;
  }
  means_ = {};
  last_value_ = last_energy_ = square_ = 0;
  moved_ = std::numeric_limits<double>::max();  // as nobody knows yet
  steps_since_exchange_ = 0;
  exchanged_since_step_ = broken_ = measured_ = false;
}

Ending PairwiseStage::train() {
  ending_.reset();
  phases_ = PhasedMaxima(neighbours_, static_cast<int>(diameter_));
  steps_in_phase_ = 0;
  measured_ = false;
  for (auto& [neighbour, link] : links_) link.gone = false;
  while (!ending_) {
    hear_all();
    if (may_step()) {
      step();
      hear_all();
      exchange_with_neighbours();
    } else if (phases_.waits()) {  // not where hear_all() has brought the last of a phase: others may wait for its end
      hear(receive());
    }
    advance();
  }
  leave();
  return *ending_;
}

bool PairwiseStage::may_step() const {
  const SessionOptions& session = context_.options.session;
  const double most = std::min(static_cast<double>(session.max_rounds), session.max_epochs);
  return !broken_ && static_cast<double>(context_.run.rounds) < most &&
         (neighbours_.empty() || steps_in_phase_ < kMostStepsAhead);
}

void PairwiseStage::step() {
  const Time begin = context_.endpoint.now();
  const double value = context_.node.value_and_gradient(rule_->w(), gradient_);
  const double seconds = context_.endpoint.now() - begin;
  pace_seconds_ = pace_seconds_ > 0 ? kPaceMemory * pace_seconds_ + (1 - kPaceMemory) * seconds : seconds;
  broken_ = !std::isfinite(value) || !all_finite(gradient_);
  if (broken_) return;
  ++context_.run.rounds;
  ++steps_in_phase_;
  measure(value);
  measured_ = true;
  rule_->step(gradient_);
  ++steps_since_exchange_;
  exchanged_since_step_ = false;
  broken_ = !all_finite(rule_->w());
}

// At w(), before the step.
void PairwiseStage::measure(double value) {
  const std::vector<double>& w = rule_->w();
  const std::vector<double>& scale = context_.options.session.estimate.scale;
  double change = 0, size = 0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    change = std::max(change, std::abs(w[j] - before_[j]));
    size = std::max(size, std::abs(w[j]));
  }
  moved_ = std::max(moved_, size > 0 ? change / size : change);
  before_ = w;
  std::vector<double> direction(gradient_);
  for (std::size_t j = 0; j < w.size(); ++j) direction[j] += rule_->dual()[j];
  double plain = 0;
  square_ = 0;
  const std::vector<double> least = minimum_norm_subgradient(w, direction, context_.options.session.l1);
  for (std::size_t j = 0; j < w.size(); ++j) {
    const double scaled = least[j] * (scale.empty() ? 1 : scale[j]);
    square_ += scaled * scaled;
    plain += least[j] * least[j];
  }
  double energy = 0;
  for (const auto& [neighbour, link] : links_) energy += 0.5 * link.weight * link.distance;
  means_[StopAgreement::kValue] += value - last_value_;
  means_[StopAgreement::kEnergy] += energy - last_energy_;
  last_value_ = value;
  last_energy_ = energy;
  RoundReport report{context_.run.rounds, context_.endpoint.now() - context_.run.start, means_[StopAgreement::kValue],
                     std::sqrt(plain)};
  // As in rounds: mean |w_k − mean|² <= mean energy / (1 − λ₂), here of distances seen at different times.
  report.consensus_distance =
      std::sqrt(std::max(0.0, means_[StopAgreement::kEnergy]) / std::max(context_.spectrum.spectral_gap, 1e-12));
  context_.run.record(report);
  if (context_.endpoint.rank() == context_.first && context_.options.session.on_round)
    context_.options.session.on_round(report, w);
}

// Those it has not met for the longest time first.
void PairwiseStage::exchange_with_neighbours() {
  std::vector<int> order = neighbours_;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return links_.at(a).last < links_.at(b).last; });
  for (const int neighbour : order) {
    if (broken_) return;
    const Link& link = links_.at(neighbour);
    if (link.gone || link.pace_seconds > kMuchSlower * pace_seconds_) continue;
    if (exchanged_since_step_ && link.pace_seconds >= kMuchFaster * pace_seconds_) continue;
    ask(neighbour);
  }
}

PairMessage PairwiseStage::say(Kind kind) const {
  PairMessage message;
  message.kind = kind;
  message.generation = generation_;
  message.steps = steps_since_exchange_;
  message.pace_seconds = pace_seconds_;
  message.means = means_;
  return message;
}

bool PairwiseStage::ask(int neighbour) {
  Link& link = links_.at(neighbour);
  PublicCopy told = link.own;  // becomes the public one when the neighbour has taken it
  std::vector<std::byte> copy;
  told.approach(rule_->w(), codec_, copy);
  context_.endpoint.send(neighbour, kPairTag, encode(say(Kind::ask), copy));
  asked_ = neighbour;
  const Time begin = context_.endpoint.now();
  bool done = false;
  while (asked_ >= 0) {
    Message heard = receive();
    std::span<const std::byte> theirs;
    const PairMessage message = decode_pair_message(heard, theirs);
    if (heard.source != neighbour || (message.kind != Kind::answer && message.kind != Kind::refusal)) {
      hear(std::move(heard));
      continue;
    }
    asked_ = -1;
    done = message.kind == Kind::answer;
    if (!done) break;
    std::swap(link.own, told);
    link.theirs.follow(theirs, codec_);
    average(link, message, PairwiseRule::Role::asks);
  }
  link.waited_seconds += context_.endpoint.now() - begin;
  std::vector<Message> meanwhile = std::exchange(deferred_, {});
  for (Message& message : meanwhile) hear(std::move(message));
  return done;
}

void PairwiseStage::answer(int asker, const PairMessage& message, std::span<const std::byte> copy) {
  Link& link = links_.at(asker);
  if (ending_ || broken_ || message.generation != generation_) {
    context_.endpoint.send(asker, kPairTag, encode(say(Kind::refusal)));
    return;
  }
  link.theirs.follow(copy, codec_);
  std::vector<std::byte> own;
  link.own.approach(rule_->w(), codec_, own);
  context_.endpoint.send(asker, kPairTag, encode(say(Kind::answer), own));
  average(link, message, PairwiseRule::Role::asked);
}

// link's copies and message are what the two have just told each other.
void PairwiseStage::average(Link& link, const PairMessage& message, PairwiseRule::Role role) {
  const std::span<const double> own = link.own.values(), theirs = link.theirs.values();
  const std::vector<double>& scale = context_.options.session.estimate.scale;
  const bool asks = role == PairwiseRule::Role::asks;
  link.distance = link.scaled_distance = 0;
  for (std::size_t j = 0; j < difference_.size(); ++j) {
    const double apart = asks ? own[j] - theirs[j] : theirs[j] - own[j];
    const double scaled = apart * (scale.empty() ? 1 : scale[j]);
    link.distance += apart * apart;
    link.scaled_distance += scaled * scaled;
    difference_[j] = 0.5 * consensus_step_ * apart;
  }
  rule_->exchange(difference_, role, std::max(steps_since_exchange_, message.steps));
  for (std::size_t i = 0; i < means_.size(); ++i) {
    const double apart = asks ? means_[i] - message.means[i] : message.means[i] - means_[i];
    means_[i] += asks ? -0.5 * apart : 0.5 * apart;
  }
  link.last = ++exchanges_;
  link.pace_seconds = message.pace_seconds;
  steps_since_exchange_ = 0;
  exchanged_since_step_ = true;
  broken_ = broken_ || !all_finite(rule_->w());
  const double numbers = static_cast<double>(difference_.size());
  context_.endpoint.charge({.bytes = 64 * numbers, .flops = 12 * numbers});
}

void PairwiseStage::hear_all() {
  while (!neighbours_.empty()) {
    std::optional<Message> message = context_.endpoint.try_receive({neighbours_, {kPairTag, kGossipLossTag}});
    if (!message) return;
    if (message->tag == kGossipLossTag) throw read_loss(*message);
    hear(std::move(*message));
  }
}

Message PairwiseStage::receive() {
  Message message = context_.endpoint.receive({neighbours_, {kPairTag, kGossipLossTag}}, Deadline::never());
  if (message.tag == kGossipLossTag) throw read_loss(message);
  return message;
}

void PairwiseStage::hear(Message heard) {
  std::span<const std::byte> copy;
  const PairMessage message = decode_pair_message(heard, copy);
  switch (message.kind) {
    case Kind::ask:
      if (asked_ < 0) return answer(heard.source, message, copy);
      if (heard.source > context_.endpoint.rank()) return deferred_.push_back(std::move(heard));
      return context_.endpoint.send(heard.source, kPairTag, encode(say(Kind::refusal)));
    case Kind::phase:
      links_.at(heard.source).pace_seconds = message.pace_seconds;
      return phases_.hear(heard.source, message.maxima);
    case Kind::goodbye:
      links_.at(heard.source).gone = true;
      return;
    case Kind::answer:
    case Kind::refusal:
      throw ClusterError(fmt::format("node {} answered a question that nobody asked", heard.source));
  }
}

// At most one phase: so a window is at least as many steps long, or messages of nodes that stand still. A window begins
// when there is something to say.
void PairwiseStage::advance() {
  if (phases_.advance()) {
    steps_in_phase_ = 0;
    if (phases_.complete()) {
      decide();
    } else {
      tell_maxima();
    }
  }
  if (ending_ || (phases_.opened() && !phases_.complete()) || (!measured_ && may_step())) return;
  phases_.open(seen());
  if (!broken_) at_opening_ = rule_->w();
  tell_maxima();
}

void PairwiseStage::tell_maxima() {
  PairMessage message = say(Kind::phase);
  message.maxima = phases_.maxima();
  for (const int neighbour : neighbours_) context_.endpoint.send(neighbour, kPairTag, encode(message));
}

// By this node since the last window began.
PhasedMaxima::Maxima PairwiseStage::seen() {
  constexpr double kMost = 1e300;
  const SessionOptions& session = context_.options.session;
  // Unknown until every neighbour has been met; and in the first window, whose gradients are the ones that later ones
  // are held against: a slow node's first exchanges are with others that have gone far.
  double apart = windows_ == 0 ? std::numeric_limits<double>::infinity() : 0;
  for (const auto& [neighbour, link] : links_) {
    const double distance = std::min(link.scaled_distance, kMost);
    apart = std::max(apart, distance < 0 ? std::numeric_limits<double>::infinity() : distance);
  }
  PhasedMaxima::Maxima mine{};
  mine[StopAgreement::kGradient] = std::min(square_, kMost);
  mine[StopAgreement::kDisagreement] = context_.lipschitz * context_.lipschitz * apart;
  mine[StopAgreement::kMinusValue] = -means_[StopAgreement::kValue];
  mine[StopAgreement::kMoved] = std::min(moved_, kMost);
  mine[StopAgreement::kCancelled] = context_.cancelled() ? 1 : 0;
  mine[StopAgreement::kOutOfTime] = context_.out_of_time() ? 1 : 0;
  const double most = std::min(static_cast<double>(session.max_rounds), session.max_epochs);
  mine[StopAgreement::kOutOfRounds] = static_cast<double>(context_.run.rounds) >= most ? 1 : 0;
  mine[StopAgreement::kNotFinite] = broken_ || !std::isfinite(mine[StopAgreement::kMinusValue]) ? 1 : 0;
  if (mine[StopAgreement::kNotFinite] != 0) mine[StopAgreement::kMinusValue] = -std::numeric_limits<double>::max();
  moved_ = 0;
  return mine;
}

void PairwiseStage::decide() {
  const NetworkStop::Decision decision = stop_.decide(phases_.maxima(), diameter_ * ++windows_);
  ending_ = decision.ending;
  if (decision.best) best_ = at_opening_;
  if (!decision.too_long) return;
  if (context_.options.step_size > 0 || shortened_++ == kMostTimesShortened) {
    ending_ = Ending::diverged;
    return;
  }
  // Which of them it was can not be told. Of compressed copies it is the averaging first.
  const bool compressed = context_.options.session.compression.kind != MessageCompression::Kind::none;
  if (compressed) consensus_step_ /= 2;
  if (!compressed || shortened_ % 3 == 0) {
    step_ /= 2;
    dual_step_ /= 2;
  }
  ++generation_;  // stop_ goes on: a slow node's first gradient would be at what others have done with the long step
  begin(std::vector<double>(best_));
}

void PairwiseStage::leave() {
  for (const int neighbour : neighbours_) context_.endpoint.send(neighbour, kPairTag, encode(say(Kind::goodbye)));
  const auto here = [](const auto& entry) { return !entry.second.gone; };
  while (std::any_of(links_.begin(), links_.end(), here)) hear(receive());
}

void PairwiseStage::tighten() {
  stop_.tighten(diameter_ * windows_);
}

}  // namespace muster
