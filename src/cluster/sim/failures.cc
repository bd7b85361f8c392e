#include "cluster/sim/failures.h"

#include <algorithm>

#include "base/random.h"

namespace muster {

std::vector<char> sides_of(const LinkFault& fault, int ranks) {
  std::vector<char> sides(static_cast<std::size_t>(ranks), 0);
  const auto mark = [&](const std::vector<int>& nodes, char side) {
    for (const int n : nodes) {
      if (n < ranks) sides[static_cast<std::size_t>(n)] = static_cast<char>(sides[static_cast<std::size_t>(n)] | side);
    }
  };
  mark(fault.nodes, 1);
  mark(fault.others, 2);
  for (char& side : sides) {
    if (fault.nodes.empty()) side = static_cast<char>(side | 1);
    if (fault.others.empty() && ((side & 1) == 0 || fault.nodes.empty())) side = static_cast<char>(side | 2);
  }
  return sides;
}

Failures::Failures(const ClusterModel& model, int ranks) : model_(model), nodes_(static_cast<std::size_t>(ranks)) {
  for (int r = 0; r < ranks; ++r) {
    Node& n = nodes_[static_cast<std::size_t>(r)];
    if (model.deaths_per_second > 0) {
      const double u = RandomStream(model.seed, static_cast<std::uint32_t>(r), RandomPurpose::node_death).uniform(0);
      n.death = Distribution::exponential(1 / model.deaths_per_second).sample(u);
    }
    if (model.pauses_per_second > 0) n.drawn_until = 0;
  }
  for (const NodeDeath& death : model.deaths) {
    if (death.node < ranks) {
      Time& at = nodes_[static_cast<std::size_t>(death.node)].death;
      at = std::min(at, death.at);
    }
  }
  for (const NodePause& pause : model.pauses) {
    if (pause.node < ranks) {
      add_pause(nodes_[static_cast<std::size_t>(pause.node)].pauses, {pause.at, pause.at + pause.seconds});
    }
  }
  for (const LinkFault& fault : model.link_faults) {
    if (!fault.cut) continue;
    cuts_.push_back(&fault);
    cut_sides_.push_back(sides_of(fault, ranks));
  }
  any_ = !model.deaths.empty() || !model.pauses.empty() || !cuts_.empty() || model.deaths_per_second > 0 ||
         model.pauses_per_second > 0;
}

void Failures::add_pause(std::vector<Interval>& pauses, Interval pause) {
  if (pause.end <= pause.begin) return;
  auto at =
      std::lower_bound(pauses.begin(), pauses.end(), pause.begin, [](const Interval& p, Time t) { return p.end < t; });
  while (at != pauses.end() && at->begin <= pause.end) {  // overlapping ones become one
    pause = {std::min(pause.begin, at->begin), std::max(pause.end, at->end)};
    at = pauses.erase(at);
  }
  pauses.insert(at, pause);
}

// Gaps between the end of one pause and the begin of the next are exponential.
void Failures::draw_pauses(int rank, Time until) const {
  const Node& n = node(rank);
  const RandomStream gaps(model_.seed, static_cast<std::uint32_t>(rank), RandomPurpose::pause_gap);
  const RandomStream lengths(model_.seed, static_cast<std::uint32_t>(rank), RandomPurpose::pause_length);
  const Distribution gap = Distribution::exponential(1 / model_.pauses_per_second);
  while (n.drawn_until <= until) {
    const Time begin = n.drawn_until + gap.sample(gaps.uniform(n.drawn));
    const Time end = begin + model_.pause_seconds.sample(lengths.uniform(n.drawn));
    ++n.drawn;
    add_pause(n.pauses, {begin, end});
    n.drawn_until = end;
  }
}

Time Failures::run(int rank, Time from, double seconds) const {
  if (!any_) return from + seconds;
  const Node& n = node(rank);
  Time at = from;
  double left = seconds;
  while (true) {
    if (n.drawn_until < kForever) draw_pauses(rank, at + left);
    const auto pause =
        std::upper_bound(n.pauses.begin(), n.pauses.end(), at, [](Time t, const Interval& p) { return t < p.end; });
    if (pause == n.pauses.end() || at + left < pause->begin) return at + left;
    left -= std::max(0.0, pause->begin - at);
    at = pause->end;
  }
}

bool Failures::cut(int from, int to, Time at, Time& heals) const {
  bool is_cut = false;
  heals = at;
  for (bool again = true; again;) {  // one cut may follow upon another
    again = false;
    for (std::size_t c = 0; c < cuts_.size(); ++c) {
      const char a = cut_sides_[c][static_cast<std::size_t>(from)], b = cut_sides_[c][static_cast<std::size_t>(to)];
      const bool severed = ((a & 1) != 0 && (b & 2) != 0) || ((a & 2) != 0 && (b & 1) != 0);
      if (!severed || heals < cuts_[c]->at || heals >= cuts_[c]->until) continue;
      is_cut = again = true;
      heals = cuts_[c]->until;
    }
  }
  return is_cut;
}

Interval Failures::silence(int observer, int peer, Time from, double min_seconds) const {
  const Node& p = node(peer);
  Interval first{p.death, kForever};
  if (p.drawn_until < kForever) {
    // Beyond this the answer waits for the next call: a waiter looks again before its silence could be over.
    draw_pauses(peer, from + 10 * min_seconds);
  }
  for (const Interval& pause : p.pauses) {
    if (pause.end > from && pause.end - pause.begin >= min_seconds && pause.begin < first.begin) first = pause;
  }
  for (const LinkFault* fault : cuts_) {
    Time heals = 0;
    if (fault->until > from && fault->at < first.begin && cut(observer, peer, fault->at, heals) &&
        heals - fault->at >= min_seconds) {
      first = {fault->at, heals};
    }
  }
  return first;
}

}  // namespace muster
