#include "train/decentralized_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "cluster/endpoint_decorator.h"
#include "muster/error.h"
#include "train/decentralized_pairwise.h"
#include "train/decentralized_rounds.h"
#include "train/gossip.h"

namespace muster {
namespace {

// The last endpoint of a chain of them, none of which may outlive the one before.
class LastOfChain final : public EndpointDecorator {
 public:
  explicit LastOfChain(std::vector<std::unique_ptr<Endpoint>> chain)
      : EndpointDecorator(*chain.back()), chain_(std::move(chain)) {}
  ~LastOfChain() override {
    while (!chain_.empty()) chain_.pop_back();
  }
  std::unique_ptr<Endpoint> split(int color, int key) override { return inner().split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return inner().shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return inner().subset(std::move(members)); }
  void broadcast(std::span<double> values, int root, Deadline deadline) override {
    inner().broadcast(values, root, deadline);
  }
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override {
    inner().reduce(values, op, root, deadline);
  }
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override {
    inner().allreduce(values, op, deadline);
  }
  std::vector<Buffer> gather(Buffer mine, int root, Deadline deadline) override {
    return inner().gather(std::move(mine), root, deadline);
  }
  void barrier(Deadline deadline) override { inner().barrier(deadline); }

 private:
  std::vector<std::unique_ptr<Endpoint>> chain_;
};

}  // namespace

NetworkSession::NetworkSession(Objective& objective, Endpoint& endpoint, const Topology& topology,
                               std::vector<double> start, const DecentralizedOptions& options)
    : objective_(objective), given_(endpoint), topology_(topology), options_(options), w_(std::move(start)) {
  MUSTER_CHECK(w_.size() == objective.dimension(), "one starting value for each coordinate");
  MUSTER_CHECK(options.session.penalty.size() == w_.size(), "one penalty for each coordinate");
  MUSTER_CHECK(topology.nodes() == endpoint.size(), "a node of the topology for each rank");
  run_.start = endpoint.now();
  run_.waited_for_seconds.assign(static_cast<std::size_t>(endpoint.size()), 0.0);
}

NetworkSession::~NetworkSession() {
  stage_.reset();
  all_.reset();
  node_.reset();
  while (!survivors_.empty()) survivors_.pop_back();
}

// Rules that diverge, or settle elsewhere, on graphs of that kind are refused; the same on every rank.
void NetworkSession::check_rule() const {
  const std::string graph = fmt::format("the topology {} with {} weights", topology_.name(), topology_.weights_name());
  const auto need = [&](bool given, std::string_view rule, std::string_view what, std::string_view use) {
    if (!given) throw InputError(fmt::format("{} needs {}, which {} has not: use {}", rule, what, graph, use));
  };
  constexpr std::string_view kUniform = "--weights uniform, or a file of 'directed columns'";
  const bool columns = topology_.column_stochastic();
  const std::string_view other = columns ? "--solver push-sum" : kUniform;
  switch (options_.solver) {
    case NetworkSolver::nids:
      return need(topology_.symmetric() && topology_.doubly_stochastic() && topology_.period() == 1, "nids",
                  "symmetric weights that stay the same",
                  topology_.period() > 1 ? "--solver gradient-tracking" : other);
    case NetworkSolver::gradient_tracking:
      return need(topology_.doubly_stochastic(), "gradient-tracking", "weights whose rows and columns sum to 1", other);
    case NetworkSolver::pairwise:
      return need(topology_.symmetric() && topology_.period() == 1, "pairwise", "symmetric weights that stay the same",
                  topology_.period() > 1 ? "--solver gradient-tracking with --sync bsp"
                  : columns              ? "--solver push-sum with --sync bsp"
                                         : kUniform);
    case NetworkSolver::push_sum:
      return need(columns, "push-sum", "weights whose columns sum to 1", kUniform);
    case NetworkSolver::dgd:
      return need(topology_.doubly_stochastic(), "dgd", "weights whose rows and columns sum to 1", other);
  }
}

// Options, rules and graphs that do not go together, likewise.
void NetworkSession::check() const {
  check_connected(topology_);
  check_rule();
  const bool changing = topology_.period() > 1, push = options_.solver == NetworkSolver::push_sum;
  const bool compressed = options_.session.compression.kind != MessageCompression::Kind::none;
  const bool pairwise = options_.solver == NetworkSolver::pairwise;
  if (pairwise && (options_.network.local_steps > 1 || options_.network.chebyshev))
    throw InputError("--local-steps and --chebyshev are of rounds, which pairwise has not: leave them out");
  if (options_.network.local_steps > 1) {
    if (push || options_.solver == NetworkSolver::dgd)
      throw InputError("--local-steps needs a solver that corrects the drift: use --solver nids or gradient-tracking");
    if (!options_.session.l1.empty()) throw InputError("--local-steps and --l1 do not go together: leave one out");
  }
  if (options_.network.chebyshev && (!topology_.symmetric() || changing))
    throw InputError(fmt::format(
        "--chebyshev needs symmetric weights that stay the same, which the topology {} has not: leave it out",
        topology_.name()));
  if (compressed && options_.network.chebyshev)
    throw InputError("--compress and --chebyshev do not go together: leave one out");
  if (compressed && (changing || push))
    throw InputError(fmt::format(
        "--compress needs the same neighbours every round and no push-sum, but the topology is {}: leave it out",
        topology_.name()));
}

// What every node must know of the others: S, L and the topology's spectrum, once per network.
void NetworkSession::set_up() {
  Endpoint& group = endpoint();
  if (!survivors_.empty() && options_.regroup) options_.session.estimate = options_.regroup(group);
  MapReduceOptions all;
  all.penalty = options_.session.penalty;
  all.l1 = options_.session.l1;
  all_ = std::make_unique<MapReduce>(objective_, group, std::move(all));
  node_ = std::make_unique<NodeObjective>(objective_, group, options_.session);
  node_->share_among(static_cast<int>(group.members().size()), all_->weight());
  const int first = group.members().front();
  double agreed[4] = {node_->lipschitz(options_.session.seed), 0, 0, static_cast<double>(run_.rounds)};
  if (group.rank() == first) {
    const Spectrum spectrum = muster::spectrum(topology_);
    agreed[1] = spectrum.lambda2_modulus;
    agreed[2] = spectrum.spectral_gap;
  }
  group.allreduce(agreed, ReduceOp::max, Deadline::never());
  if (!std::isfinite(agreed[0])) throw InputError("the curvature of the objective is not finite");
  // A loss stops nodes far from it some rounds later than its neighbours; the limit on rounds is to stop them together.
  const bool in_rounds = options_.solver != NetworkSolver::pairwise;
  if (in_rounds) run_.rounds = static_cast<std::int64_t>(agreed[3]);
  StageContext context{group, topology_, *node_, options_, run_, first, agreed[0] > 0 ? agreed[0] : 1, {}};
  context.spectrum.lambda2_modulus = agreed[1];
  context.spectrum.spectral_gap = agreed[2];
  if (in_rounds)
    stage_ = std::make_unique<RoundsStage>(context, w_);
  else
    stage_ = std::make_unique<PairwiseStage>(context, w_);
}

Meeting NetworkSession::train_and_meet() {
  const MeetingOptions options{options_.network.node, options_.session.judge, options_.session.l1};
  int tightened = 0;
  while (true) {
    Ending ending = stage_->train();
    w_ = stage_->w();
    // The estimate has been made as strict as it can be.
    if (ending == Ending::met && tightened == 60) ending = Ending::stalled;
    Meeting meeting = meet(endpoint(), *all_, w_, ending, run_, options);
    run_.record(meeting.exact);
    if (meeting.stop) return meeting;
    ++tightened;
    stage_->tighten();
  }
}

DecentralizedResult NetworkSession::run() {
  check();
  while (true) {
    try {
      set_up();
      Meeting meeting = train_and_meet();
      leave_network();
      const std::vector<double> counts = count();
      if (options_.session.losses_end_run || !shrink(nullptr)) return finish(std::move(meeting), counts);
    } catch (const PeerLost& lost) {
      if (options_.session.losses_end_run) throw;
      leave_network();
      tell_loss(endpoint(), neighbours(given_.rank()), lost);
      shrink(&lost);
    }
  }
}

void NetworkSession::leave_network() {
  if (stage_) w_ = stage_->w();
  stage_.reset();  // which adds what was waited for
  if (node_) {
    compute_seconds_ += node_->compute_seconds();
    gradients_ += node_->gradients();
  }
  if (all_) compute_seconds_ += all_->compute_seconds();
  node_.reset();
  all_.reset();
}

std::vector<int> NetworkSession::neighbours(int node) const {
  std::set<int> all;
  for (int round = 0; round < topology_.period(); ++round) {
    const MixingRow& row = topology_.row(node, round);
    for (const WeightedNeighbour& neighbour : row.in) all.insert(neighbour.node);
    for (const WeightedNeighbour& neighbour : row.out) all.insert(neighbour.node);
  }
  return {all.begin(), all.end()};
}

bool NetworkSession::shrink(const PeerLost* lost) {
  const std::vector<int> before = endpoint().members();
  std::unique_ptr<Endpoint> survivors = endpoint().shrink(Deadline::never());
  if (lost == nullptr && survivors->members() == before) return false;
  survivors_.push_back(std::move(survivors));
  const std::vector<int>& living = endpoint().members();
  for (const int member : before) {
    if (std::binary_search(living.begin(), living.end(), member)) continue;
    const bool seen = lost != nullptr && lost->rank() == member;
    bury(member, seen ? lost->what() : fmt::format("rank {} was lost", member));
  }
  keep_part();
  if (options_.solver == NetworkSolver::gradient_tracking && !topology_.doubly_stochastic()) change_to_push_sum();
  return true;
}

// The lowest living neighbour takes the rows over; where none lives, the lowest living rank.
void NetworkSession::bury(int dead, const std::string& sentence) {
  const std::vector<int>& living = endpoint().members();
  int heir = living.front();
  for (const int neighbour : neighbours(dead)) {
    if (!std::binary_search(living.begin(), living.end(), neighbour)) continue;
    heir = neighbour;
    break;
  }
  topology_ = topology_.without(std::span(&dead, 1));
  lost_.push_back({dead, sentence, options_.session.adopt ? heir : -1});
  if (options_.session.adopt && heir == given_.rank()) options_.session.adopt(dead);
  for (LostRank& earlier : lost_) {  // what the dead had taken over itself
    if (earlier.rows_taken_over_by != dead) continue;
    if (heir == given_.rank()) options_.session.adopt(earlier.rank);
    earlier.rows_taken_over_by = heir;
  }
}

void NetworkSession::keep_part() {
  const std::vector<std::vector<int>> parts = topology_.components();
  if (parts.size() == 1) return;
  if (!options_.network.allow_parts)
    throw ClusterError(
        fmt::format("the loss of rank {} cuts the network into parts: {}; with --allow-parts each goes on by itself",
                    lost_.back().rank, describe_components(parts)));
  const int self = given_.rank();
  std::vector<int> mine, others;
  for (const std::vector<int>& part : parts) {
    if (std::binary_search(part.begin(), part.end(), self))
      mine = part;
    else
      others.insert(others.end(), part.begin(), part.end());
  }
  cut_ = true;
  leads_ = leads_ && mine.front() == endpoint().members().front();
  if (!leads_) options_.session.on_round = {};
  topology_ = topology_.without(others);
  survivors_.push_back(endpoint().subset(std::move(mine)));
}

// A directed graph's rows do not sum to 1 without a node's: push-sum, as it is, is exact there.
void NetworkSession::change_to_push_sum() {
  std::string without;
  if (options_.network.local_steps > 1) without = ", without --local-steps";
  if (options_.session.compression.kind != MessageCompression::Kind::none)
    without += without.empty() ? ", without --compress" : " and --compress";
  notes_.push_back(
      fmt::format("the rows of the weights no longer sum to 1 after the loss of rank {}: push-sum took the place of "
                  "gradient-tracking{}",
                  lost_.back().rank, without));
  options_.solver = NetworkSolver::push_sum;
  options_.network.local_steps = 1;
  options_.session.compression = {};
}

// By rank: gradients, then seconds waited for it.
std::vector<double> NetworkSession::count() {
  const std::size_t size = static_cast<std::size_t>(given_.size());
  std::vector<double> counts(2 * size, 0.0);
  counts[static_cast<std::size_t>(given_.rank())] = static_cast<double>(gradients_);
  for (std::size_t rank = 0; rank < size; ++rank) counts[size + rank] = run_.waited_for_seconds[rank];
  endpoint().allreduce(counts, ReduceOp::sum, Deadline::never());
  return counts;
}

DecentralizedResult NetworkSession::finish(Meeting meeting, std::span<const double> counts) {
  DecentralizedResult result;
  SessionResult& session = result.session;
  const std::size_t size = counts.size() / 2;
  for (std::size_t rank = 0; rank < size; ++rank) {
    session.updates.push_back(static_cast<std::int64_t>(counts[rank]));
    session.waited_for_seconds.push_back(counts[size + rank]);
  }
  session.compute_seconds = compute_seconds_;
  session.w = std::move(meeting.w);
  session.reason = meeting.reason;
  session.detail = std::move(meeting.detail);
  session.rounds = meeting.exact.round;
  session.history = std::move(run_.history);
  session.lost = std::move(lost_);
  result.consensus_distance = std::move(meeting.consensus_distance);
  const std::vector<int>& members = endpoint().members();
  if (options_.network.node >= 0 && !std::binary_search(members.begin(), members.end(), options_.network.node))
    notes_.push_back(fmt::format("node {} is not among the nodes {}: their model is the average of their copies",
                                 options_.network.node, describe_components({members})));
  result.solver = options_.solver;
  result.notes = std::move(notes_);
  result.cut = cut_;
  result.leads = leads_;
  if (!survivors_.empty()) session.survivors = std::make_unique<LastOfChain>(std::move(survivors_));
  survivors_.clear();
  return result;
}

}  // namespace muster
