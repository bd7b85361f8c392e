#include "cluster/sim/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "muster/error.h"

namespace muster {

Network::Network(const ClusterModel& model, const Failures& failures, int ranks) : model_(model), failures_(failures) {
  const auto count = static_cast<std::size_t>(ranks);
  if (!model.nodes.empty() && model.nodes.size() < count) {
    throw InputError(
        fmt::format("the simulated cluster has {} nodes, too few for {} ranks", model.nodes.size(), ranks));
  }
  std::vector<int> index_of_host(model.hosts.size(), -1), ranks_on;
  for (int r = 0; r < ranks; ++r) {
    const int host = model.nodes.empty() ? -1 : model.nodes[static_cast<std::size_t>(r)].host;
    int index = host < 0 ? -1 : index_of_host[static_cast<std::size_t>(host)];
    if (index < 0) {
      const HostModel& described = host < 0 ? model.default_host : model.hosts[static_cast<std::size_t>(host)];
      index = static_cast<int>(host_names_.size());
      host_names_.push_back(described.name.empty() ? fmt::format("node{}", r) : described.name);
      sites_.push_back(described.site);
      const double plain = model.inter_host.bandwidth;
      out_.push_back({0, described.out_bandwidth > 0 ? described.out_bandwidth : plain});
      in_.push_back({0, described.in_bandwidth > 0 ? described.in_bandwidth : plain});
      ranks_on.push_back(0);
      if (host >= 0) index_of_host[static_cast<std::size_t>(host)] = index;
    }
    ++ranks_on[static_cast<std::size_t>(index)];
    host_of_.push_back(static_cast<std::uint32_t>(index));
  }
  for (const std::uint32_t host : host_of_) shared_.push_back(ranks_on[host] > 1 ? 1 : 0);
  local_out_.assign(count, {0, model.intra_host.bandwidth});
  local_in_.assign(count, {0, model.intra_host.bandwidth});
  may_overtake_ = model.intra_host.jitter_seconds > 0 || model.inter_host.jitter_seconds > 0;
  for (const SiteLink& site : model.site_links) {
    between_.insert(between_.end(), 2, Lane{0, site.link.bandwidth});
    may_overtake_ = may_overtake_ || site.link.jitter_seconds > 0;
  }
  for (const LinkFault& fault : model.link_faults) faults_.push_back({fault, sides_of(fault, ranks)});
  may_overtake_ = may_overtake_ || !faults_.empty();
  last_.resize(may_overtake_ ? count : 0);
  jitters_.resize(count);
  attempts_.resize(count);
}

int Network::site_link(int from, int to) const {
  if (between_.empty()) return -1;
  const int a = site_of(from), b = site_of(to);
  if (a == b) return -1;
  for (std::size_t i = 0; i < model_.site_links.size(); ++i) {
    const SiteLink& link = model_.site_links[i];
    if (link.first == a && link.second == b) return static_cast<int>(2 * i);
    if (link.first == b && link.second == a) return static_cast<int>(2 * i + 1);
  }
  return -1;
}

const LinkModel& Network::link(int from, int to) const {
  if (same_host(from, to)) return model_.intra_host;
  const int site = site_link(from, to);
  return site < 0 ? model_.inter_host : model_.site_links[static_cast<std::size_t>(site / 2)].link;
}

Network::Lane& Network::out_lane(int from, int to) {
  return same_host(from, to) ? local_out_[static_cast<std::size_t>(from)]
                             : out_[host_of_[static_cast<std::size_t>(from)]];
}

Network::Lane& Network::in_lane(int from, int to) {
  return same_host(from, to) ? local_in_[static_cast<std::size_t>(to)] : in_[host_of_[static_cast<std::size_t>(to)]];
}

// How long faults hold up a message sent at `at`; false if it is lost.
bool Network::suffer(int from, int to, Time at, double& delay) {
  const auto source = static_cast<std::size_t>(from);
  for (const Fault& f : faults_) {
    const char a = f.sides[source], b = f.sides[static_cast<std::size_t>(to)];
    if (!(((a & 1) != 0 && (b & 2) != 0) || ((a & 2) != 0 && (b & 1) != 0))) continue;
    if (at < f.fault.at || at >= f.fault.until) continue;
    delay += f.fault.delay_seconds;
    if (f.fault.loss <= 0) continue;
    const RandomStream stream(model_.seed, static_cast<std::uint32_t>(from), RandomPurpose::message_loss);
    for (double pause = f.fault.retransmit_seconds; stream.uniform(attempts_[source]++) < f.fault.loss; pause *= 2) {
      if (pause == kForever) return false;
      delay += pause;
    }
  }
  Time heals = 0;
  if (failures_.any() && failures_.cut(from, to, at + delay, heals)) {
    if (heals == kForever) return false;
    delay = heals - at;
  }
  return true;
}

void Network::keep_order(Travel& travel) {
  std::vector<std::pair<Time, Time>>& row = last_[static_cast<std::size_t>(travel.from)];
  if (row.empty()) row.resize(last_.size());
  auto& [head, tail] = row[static_cast<std::size_t>(travel.to)];
  travel.head = head = std::max(head, travel.head);
  travel.tail = tail = std::max(tail, travel.tail);
}

std::optional<Travel> Network::leave(int from, int to, double bytes, Time at) {
  const LinkModel& way = link(from, to);
  Lane& lane = out_lane(from, to);
  const bool crosses = site_link(from, to) >= 0;  // the link's bandwidth is then a queue of its own
  const double seconds = bytes / (crosses ? lane.bandwidth : std::min(lane.bandwidth, way.bandwidth));
  const Time start = std::max(at, lane.free);
  lane.free = start + seconds;
  double delay = way.latency_seconds;
  if (way.jitter_seconds > 0) {
    const RandomStream stream(model_.seed, static_cast<std::uint32_t>(from), RandomPurpose::jitter);
    delay += Distribution::exponential(way.jitter_seconds)
                 .sample(stream.uniform(jitters_[static_cast<std::size_t>(from)]++));
  }
  double held = 0;
  if (!faults_.empty() && !suffer(from, to, start, held)) return std::nullopt;
  delay += held;
  Travel travel{from, to, bytes, start + delay, lane.free + delay};
  if (may_overtake_) keep_order(travel);
  return travel;
}

void Network::cross(Travel& travel) {
  Lane& lane = between_[static_cast<std::size_t>(site_link(travel.from, travel.to))];
  const Time start = std::max(travel.head, lane.free);
  lane.free = start + travel.bytes / lane.bandwidth;
  travel.head = start;
  travel.tail = std::max(travel.tail, lane.free);
}

Time Network::enter(const Travel& travel) {
  Lane& lane = in_lane(travel.from, travel.to);
  const Time start = std::max(travel.head, lane.free);
  lane.free = start + travel.bytes / lane.bandwidth;
  return std::max(lane.free, travel.tail);
}

}  // namespace muster
