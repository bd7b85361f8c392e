#include "train/gossip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

// The next node above first, and so around: every node of a ring or a torus then hears one neighbour after the other,
// where in the order of numbers two speak to one at once (a quarter more time in transfer: bench/star_ring.cc).
std::vector<int> sending_order(std::span<const WeightedNeighbour> out, int self) {
  std::vector<int> order;
  for (const WeightedNeighbour& to : out) order.push_back(to.node);
  std::rotate(order.begin(), std::upper_bound(order.begin(), order.end(), self), order.end());
  return order;
}

}  // namespace

double first_consensus_step(const MessageCompression& compression, std::size_t dimension) {
  if (compression.kind != MessageCompression::Kind::top_k) return 1;
  const double kept = static_cast<double>(compression.kept) / static_cast<double>(dimension);
  return std::min(1.0, kept * kept);
}

void tell_loss(Endpoint& endpoint, std::span<const int> peers, const PeerLost& lost) {
  const std::string text = fmt::format("{} {}", lost.rank(), lost.what());
  for (const int peer : peers)
    if (peer != lost.rank()) endpoint.send(peer, kGossipLossTag, Buffer::copy_of(std::string_view(text)));
}

PeerLost read_loss(const Message& message) {
  const std::string text(message.payload.text());
  const std::size_t space = text.find(' ');
  MUSTER_CHECK(space != std::string::npos, "a loss is told as a rank and a sentence");
  return PeerLost(std::stoi(text.substr(0, space)), text.substr(space + 1));
}

Gossip::Gossip(Endpoint& endpoint, const Topology& topology, GossipOptions options)
    : endpoint_(endpoint), topology_(topology), options_(std::move(options)), codec_(options_.compression) {
  MUSTER_CHECK(!compressed() || (topology.period() == 1 && !options_.push && options_.chebyshev == 0),
               "compressed copies need the same neighbours every round");
  if (options_.chebyshev > 0)
    chebyshev_exchanges_ = static_cast<int>(std::ceil(1 / std::sqrt(1 - std::min(options_.chebyshev, 1 - 1e-9))));
  if (!compressed()) return;
  const MixingRow& row = topology.row(endpoint.rank());
  const PublicCopy nothing(options_.message, options_.copy);
  public_.emplace(endpoint.rank(), nothing);
  for (const WeightedNeighbour& from : row.in) public_.emplace(from.node, nothing);
}

double Gossip::waited_seconds(int node) const {
  const auto found = waited_seconds_.find(node);
  return found == waited_seconds_.end() ? 0 : found->second;
}

void Gossip::mix(std::span<const double> mine, std::span<double> mixed, StopAgreement& agreement) {
  disagreement_ = energy_ = 0;
  exchange(mine, mixed, agreement);
  if (chebyshev_exchanges_ == 1) return;
  // a_k = T_k(1/λ); x_{k+1} = (2 a_k/(λ a_{k+1})) W x_k − (a_{k−1}/a_{k+1}) x_{k−1}.
  const double lambda = options_.chebyshev;
  double a_before = 1, a = 1 / lambda;
  before_.assign(mine.begin(), mine.end());
  last_.assign(mixed.begin(), mixed.end());
  for (int k = 1; k < chebyshev_exchanges_; ++k) {
    const double a_next = 2 * a / lambda - a_before;
    exchange(last_, mixed, agreement);
    const double back = a_before / a_next, forward = 1 + back;  // the two make 1: the mean stays
    for (std::size_t j = 0; j < mixed.size(); ++j) mixed[j] = forward * mixed[j] - back * before_[j];
    std::swap(before_, last_);
    std::copy(mixed.begin(), mixed.end(), last_.begin());
    a_before = a;
    a = a_next;
  }
}

void Gossip::exchange(std::span<const double> mine, std::span<double> mixed, StopAgreement& agreement) {
  const MixingRow& row = topology_.row(endpoint_.rank(), exchanges_++);
  const std::vector<std::byte> message = write(mine, agreement);
  for (const int to : sending_order(row.out, endpoint_.rank()))
    endpoint_.send(to, kGossipTag, Buffer::copy_of(std::span<const std::byte>(message)));
  for (std::size_t j = 0; j < mixed.size(); ++j) mixed[j] = compressed() ? mine[j] : row.self * mine[j];
  StopAgreement mixing = agreement;
  for (double& mean : mixing.means) mean *= row.self;
  for (const WeightedNeighbour& from : row.in) hear(from, mine, mixed, mixing);
  agreement = mixing;
  endpoint_.charge({.bytes = 24.0 * static_cast<double>(mixed.size() * (row.in.size() + 1)),
                    .flops = 2.0 * static_cast<double>(mixed.size() * (row.in.size() + 1))});
}

std::vector<std::byte> Gossip::write(std::span<const double> mine, const StopAgreement& agreement) {
  std::vector<std::byte> bytes(kAgreementBytes);
  std::memcpy(bytes.data(), &agreement, kAgreementBytes);
  if (!compressed()) {
    bytes.resize(kAgreementBytes + mine.size_bytes());
    if (!mine.empty()) std::memcpy(bytes.data() + kAgreementBytes, mine.data(), mine.size_bytes());
    return bytes;
  }
  public_.at(endpoint_.rank()).approach(mine, codec_, bytes);
  return bytes;
}

void Gossip::hear(const WeightedNeighbour& from, std::span<const double> mine, std::span<double> mixed,
                  StopAgreement& mixing) {
  const Time begin = endpoint_.now();
  const Message message = endpoint_.receive({{from.node}, {kGossipTag, kGossipLossTag}}, Deadline::never());
  waited_seconds_[from.node] += endpoint_.now() - begin;
  if (message.tag == kGossipLossTag) throw read_loss(message);
  StopAgreement theirs;
  const std::span<const double> values = read(from.node, message.payload, theirs);
  const std::span<const double> base = compressed() ? public_.at(endpoint_.rank()).values() : mine;
  if (compressed()) {
    for (std::size_t j = 0; j < mixed.size(); ++j)
      mixed[j] += options_.consensus_step * from.weight * (values[j] - base[j]);
  } else {
    for (std::size_t j = 0; j < mixed.size(); ++j) mixed[j] += from.weight * values[j];
  }
  observe(base, values, from.weight);
  for (std::size_t i = 0; i < theirs.maxima.size(); ++i)
    mixing.maxima[i] = std::max(mixing.maxima[i], theirs.maxima[i]);
  for (std::size_t i = 0; i < theirs.means.size(); ++i) mixing.means[i] += from.weight * theirs.means[i];
}

std::span<const double> Gossip::read(int from, const Buffer& payload, StopAgreement& theirs) {
  const std::span<const std::byte> bytes(payload.data(), payload.size());
  const bool whole = compressed() ? bytes.size() >= kAgreementBytes
                                  : bytes.size() == kAgreementBytes + options_.message * sizeof(double);
  if (!whole) throw ClusterError(fmt::format("node {} sent a malformed message: it has {} bytes", from, bytes.size()));
  std::memcpy(&theirs, bytes.data(), kAgreementBytes);
  const std::span<const std::byte> rest = bytes.subspan(kAgreementBytes);
  if (!compressed()) {
    scratch_.resize(options_.message);
    if (!rest.empty()) std::memcpy(scratch_.data(), rest.data(), rest.size());
    return scratch_;
  }
  PublicCopy& copy = public_.at(from);
  if (copy.follow(rest, codec_) != rest.size())
    throw ClusterError(fmt::format("node {} sent more bytes than its numbers take", from));
  return copy.values();
}

void Gossip::observe(std::span<const double> mine, std::span<const double> theirs, double weight) {
  double scaled = 0, plain = 0;
  for (std::size_t j = 0; j < options_.copy; ++j) {
    const double difference = options_.push ? theirs[j] / theirs.back() - mine[j] / mine.back() : theirs[j] - mine[j];
    plain += difference * difference;
    scaled += options_.scale[j] * options_.scale[j] * difference * difference;
  }
  disagreement_ = std::max(disagreement_, scaled);
  energy_ += 0.5 * weight * plain;
}

}  // namespace muster
