#include "train/decentralized_rounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "train/mapreduce.h"

namespace muster {
namespace {

constexpr int kMostShortened = 60;

// 1/L for the rules that are safe with it. Tracking has to be slower than the averaging; √gap is what held on rings,
// tori and directed graphs of all sizes tried, with any number of local steps, and the guard halves it where it does
// not.
double first_step(const StageContext& context) {
  const DecentralizedOptions& options = context.options;
  if (options.step_size > 0) return options.step_size;
  const bool tracks = options.solver == NetworkSolver::gradient_tracking || options.solver == NetworkSolver::push_sum;
  if (!tracks) return 1 / context.lipschitz;
  // As many exchanges as Chebyshev's mixing makes bring |λ₂| below 1/2.
  const double gap = options.network.chebyshev ? 0.5 : std::max(context.spectrum.spectral_gap, 1e-6);
  return std::min(0.5, std::sqrt(gap)) / context.lipschitz;
}

double largest(std::span<const double> w) {
  double result = 0;
  for (const double value : w) result = std::max(result, std::abs(value));
  return result;
}

bool finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

RoundsStage::RoundsStage(const StageContext& context, std::vector<double> start)
    : context_(context),
      step_(first_step(context)),
      consensus_step_(first_consensus_step(context.options.session.compression, context.node.dimension())),
      stop_(context.options.session.estimate) {
  window_exchanges_ = std::max<std::int64_t>(1, diameter(context.topology)) * context.topology.period();
  begin(std::move(start));
}

RoundsStage::~RoundsStage() {
  add_waits();
}

void RoundsStage::add_waits() {
  if (!gossip_) return;
  for (std::size_t rank = 0; rank < context_.run.waited_for_seconds.size(); ++rank)
    context_.run.waited_for_seconds[rank] += gossip_->waited_seconds(static_cast<int>(rank));
}

void RoundsStage::begin(std::vector<double> start) {
  const DecentralizedOptions& options = context_.options;
  RuleOptions rule;
  rule.solver = options.solver;
  rule.step = step_;
  rule.local_steps = options.network.local_steps;
  rule.l1 = options.session.l1;
  rule.gradient = [this](std::span<const double> w, std::span<double> gradient) {
    context_.node.value_and_gradient(w, gradient);
  };
  best_ = at_opening_ = start;
  rule_ = make_rule(std::move(start), std::move(rule));
  const std::size_t size = rule_->message_size();
  gradient_.resize(context_.node.dimension());
  message_.resize(size);
  mixed_.resize(size);
  GossipOptions gossip;
  gossip.copy = context_.node.dimension();
  gossip.message = size;
  gossip.push = options.solver == NetworkSolver::push_sum;
  gossip.scale = options.session.estimate.scale;
  gossip.scale.resize(gossip.copy, 1.0);
  gossip.compression = options.session.compression;
  gossip.consensus_step = consensus_step_;
  gossip.chebyshev = options.network.chebyshev ? context_.spectrum.lambda2_modulus : 0;
  // Where the numbers begin anew, so do the public copies; the graphs of a period go on where they are.
  add_waits();
  gossip_ = std::make_unique<Gossip>(context_.endpoint, context_.topology, std::move(gossip));
  agreement_ = {};
  last_value_ = moved_ = square_ = 0;
  window_begin_ = 0;
  weight_ = 1;
  broken_ = false;
  stop_.begin();
  measured_ = false;
}

Ending RoundsStage::train() {
  const SessionOptions& session = context_.options.session;
  const double rounds_of_epochs = session.max_epochs / static_cast<double>(context_.options.network.local_steps);
  while (true) {
    if (context_.run.rounds >= session.max_rounds || static_cast<double>(context_.run.rounds) >= rounds_of_epochs)
      return Ending::max_rounds;
    round();
    if (gossip_->exchanges() - window_begin_ < window_exchanges_) continue;
    const std::optional<Ending> ending = decide();
    if (ending) return *ending;
  }
}

void RoundsStage::round() {
  const std::vector<double> before = rule_->w();
  const double value = context_.node.value_and_gradient(before, gradient_);
  if (!broken_) rule_->say(gradient_, message_);
  broken_ = broken_ || !std::isfinite(value) || !finite(message_);
  if (broken_) std::fill(message_.begin(), message_.end(), 0.0);
  if (!broken_) {
    agreement_.means[StopAgreement::kValue] += value - last_value_;
    last_value_ = value;
  }
  gossip_->mix(message_, mixed_, agreement_);
  broken_ = broken_ || !finite(mixed_);
  ++context_.run.rounds;
  ++rounds_;
  if (broken_) return;
  rule_->hear(message_, mixed_);
  measure(before, value);
}

void RoundsStage::measure(std::span<const double> before, double value) {
  const std::vector<double>& w = rule_->w();
  const std::vector<double>& scale = context_.options.session.estimate.scale;
  broken_ = !finite(w);
  if (broken_) return;
  double change = 0;
  for (std::size_t j = 0; j < w.size(); ++j) change = std::max(change, std::abs(w[j] - before[j]));
  const double size = largest(w);
  moved_ = std::max(moved_, size > 0 ? change / size : change);
  const std::vector<double> least = minimum_norm_subgradient(w, rule_->direction(), context_.options.session.l1);
  double plain = 0;
  square_ = 0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    const double scaled = least[j] * (scale.empty() ? 1 : scale[j]);
    square_ += scaled * scaled;
    plain += least[j] * least[j];
  }
  if (context_.options.solver == NetworkSolver::push_sum) weight_ = mixed_.back();
  // Of a few rounds, fewer than the averaging over nodes takes: never negative, as sums of changes would be
  // where energies fall fast, and late rather than low.
  double& energy = agreement_.means[StopAgreement::kEnergy];
  const double fresh = energy > 0 ? std::clamp(std::sqrt(context_.spectrum.spectral_gap), 1e-3, 0.5) : 1;
  energy += fresh * (gossip_->energy() - energy);
  RoundReport report{context_.run.rounds, context_.endpoint.now() - context_.run.start,
                     agreement_.means[StopAgreement::kValue] / weight_, std::sqrt(plain)};
  // For symmetric W mean |w_k − mean|² <= mean energy / (1 − λ₂).
  report.consensus_distance = std::sqrt(energy / weight_ / std::max(context_.spectrum.spectral_gap, 1e-12));
  if (!std::isfinite(report.objective)) report.objective = value;
  context_.run.record(report);
  if (context_.endpoint.rank() == context_.first && context_.options.session.on_round)
    context_.options.session.on_round(report, w);
}

// What spreads from here on is what this node saw until now; what it sees within the window waits for the next.
void RoundsStage::open_window() {
  window_begin_ = gossip_->exchanges();
  if (!broken_) at_opening_ = rule_->w();
  std::array<double, StopAgreement::kMaxima>& mine = agreement_.maxima;
  mine[StopAgreement::kGradient] = std::min(square_, 1e300);
  mine[StopAgreement::kDisagreement] =
      std::min(context_.lipschitz * context_.lipschitz * gossip_->disagreement(), 1e300);
  mine[StopAgreement::kMinusValue] = -agreement_.means[StopAgreement::kValue] / weight_;
  mine[StopAgreement::kMoved] = std::min(moved_, 1e300);
  mine[StopAgreement::kCancelled] = context_.cancelled() ? 1 : 0;
  mine[StopAgreement::kOutOfTime] = context_.out_of_time() ? 1 : 0;
  mine[StopAgreement::kNotFinite] = broken_ || !std::isfinite(mine[StopAgreement::kMinusValue]) ? 1 : 0;
  if (mine[StopAgreement::kNotFinite] != 0) mine[StopAgreement::kMinusValue] = -std::numeric_limits<double>::max();
  moved_ = 0;
}

std::optional<Ending> RoundsStage::decide() {
  NetworkStop::Decision decision;
  if (measured_) decision = stop_.decide(agreement_.maxima, rounds_);
  if (decision.best) best_ = at_opening_;
  open_window();
  measured_ = true;
  if (decision.too_long) return shorten_step();
  return decision.ending;
}

// The same on every node. A step that the caller has chosen is his.
std::optional<Ending> RoundsStage::shorten_step() {
  if (context_.options.step_size > 0 || shortened_++ == kMostShortened) return Ending::diverged;
  // Of compressed copies it is the averaging that is too fast; where it is both, the step follows.
  const bool compressed = context_.options.session.compression.kind != MessageCompression::Kind::none;
  if (compressed) consensus_step_ /= 2;
  if (!compressed || shortened_ % 3 == 0) step_ /= 2;
  begin(std::vector<double>(best_));
  return std::nullopt;
}

void RoundsStage::tighten() {
  stop_.tighten(rounds_);
}

}  // namespace muster
