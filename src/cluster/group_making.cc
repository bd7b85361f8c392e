// How groups come from groups: split(), shrink() and subset().
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "cluster/collectives.h"
#include "cluster/group_endpoint.h"
#include "muster/error.h"

namespace muster {

namespace {

// The identity of a new group, the same on all its members without a word exchanged. Never 0, the whole run's.
// The mixing step is that of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
ContextId derive_context(ContextId parent, std::uint64_t sequence, std::uint64_t kind) {
  std::uint64_t x = parent;
  for (const std::uint64_t part : {sequence, kind}) {
    x += 0x9e3779b97f4a7c15 + part;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    x ^= x >> 31;
  }
  return x == 0 ? 1 : x;
}

constexpr std::uint64_t kShrunk = std::uint64_t{1} << 40;  // beyond every colour
constexpr std::uint64_t kSubset = kShrunk + 1;             // and the first member

}  // namespace

std::unique_ptr<Endpoint> GroupEndpoint::split(int color, int key) {
  // Everybody's colour and key: each member fills its own place in a sum.
  std::vector<double> choices(static_cast<std::size_t>(size()) * 2);
  choices[static_cast<std::size_t>(rank()) * 2] = color;
  choices[static_cast<std::size_t>(rank()) * 2 + 1] = key;
  tree_allreduce(*this, choices, ReduceOp::sum, Deadline::never());

  std::vector<std::tuple<double, int>> chosen;  // (key, rank) of equal colour
  for (const int member : group_.members) {
    const std::size_t at = static_cast<std::size_t>(member) * 2;
    if (choices[at] == color) chosen.emplace_back(choices[at + 1], member);
  }
  std::sort(chosen.begin(), chosen.end());
  Group group;
  group.context = derive_context(group_.context, ++groups_made_, static_cast<std::uint32_t>(color));
  if (group_.context == 0) group.area = static_cast<int>(groups_made_);
  for (const auto& [member_key, member] : chosen) {
    if (member == rank()) group.rank = static_cast<int>(group.members.size());
    group.members.push_back(static_cast<int>(group.members.size()));
    group.run_ranks.push_back(run_rank(member));
  }
  return std::make_unique<GroupEndpoint>(station_, std::move(group), this);
}

std::unique_ptr<Endpoint> GroupEndpoint::shrink(Deadline deadline) {
  station_.set_activity({Doing::shrinking, false});
  const std::vector<std::uint8_t> excluded = agree_excluded(deadline);
  Group group = group_;
  group.epoch = group_.epoch + 1;
  group.area = Group::kNoArea;
  group.context = derive_context(group_.context, ++groups_made_, kShrunk);
  std::erase_if(group.members, [&](int member) { return excluded[static_cast<std::size_t>(member)] != 0; });
  if (std::find(group.members.begin(), group.members.end(), rank()) == group.members.end()) {
    throw ClusterError(
        fmt::format("{} is not among the survivors the others agreed on", station_.name(station_.rank())));
  }
  return std::make_unique<GroupEndpoint>(station_, std::move(group), this);
}

std::unique_ptr<Endpoint> GroupEndpoint::subset(std::vector<int> members) {
  MUSTER_CHECK(std::includes(group_.members.begin(), group_.members.end(), members.begin(), members.end()),
               "a subset has members of the group");
  MUSTER_CHECK(std::binary_search(members.begin(), members.end(), rank()), "a rank makes subsets that it is in");
  Group group = group_;
  group.epoch = group_.epoch + 1;
  group.area = Group::kNoArea;
  group.context = derive_context(group_.context, ++groups_made_, kSubset + static_cast<std::uint64_t>(members.front()));
  group.members = std::move(members);
  return std::make_unique<GroupEndpoint>(station_, std::move(group), this);
}

// Agreement by flooding: in each round every survivor tells the others whom it knows to be gone and hears from all it
// does not. If all said the same, that is the answer; otherwise the union starts the next round. Whoever has decided
// answers later rounds with its decision (Station), and a survivor that hears a decision adopts it: one that saw a
// peer go in the deciding round can so find itself in a group with that peer, where the loss shows again.
// After M. Pease, R. Shostak, L. Lamport, J. ACM 27 (1980), for crash faults, with early decision.
std::vector<std::uint8_t> GroupEndpoint::agree_excluded(Deadline deadline) {
  std::vector<std::uint8_t> excluded(static_cast<std::size_t>(size()), 1);
  for (const int member : group_.members) excluded[static_cast<std::size_t>(member)] = 0;
  for (std::int32_t round = 0;; ++round) {
    station_.pull();
    for (const int member : group_.members) {
      if (member != rank() && ended(member) != nullptr) excluded[static_cast<std::size_t>(member)] = 1;
    }
    const ShrinkRound mine{round, false, excluded};
    for (const int member : group_.members) {
      if (member == rank() || excluded[static_cast<std::size_t>(member)] != 0) continue;
      station_.post(run_rank(member), group_.context, rank(), kShrinkTag, encode(mine));
    }
    bool same = true;
    if (hear_round(round, excluded, same, deadline) || same) {
      station_.decide_shrink(group_.context, rank(), {round, true, excluded});
      return excluded;
    }
  }
}

// Hears one round from all not excluded. Returns true, with excluded as decided, when somebody has decided; otherwise
// excluded becomes the union, and same tells whether all sets were equal.
bool GroupEndpoint::hear_round(std::int32_t round, std::vector<std::uint8_t>& excluded, bool& same, Deadline deadline) {
  const std::vector<std::uint8_t> said = excluded;
  const Time start = now();
  station_.begin_wait();
  for (const int member : group_.members) {
    if (member == rank() || said[static_cast<std::size_t>(member)] != 0) continue;
    while (true) {
      const auto& heard = context().shrinking[member];
      const auto found =
          std::find_if(heard.begin(), heard.end(), [&](const ShrinkRound& r) { return r.decided || r.round == round; });
      if (found != heard.end()) {
        if (found->decided) {
          excluded = found->excluded;
          return true;
        }
        same = same && found->excluded == said;
        for (std::size_t i = 0; i < excluded.size(); ++i) excluded[i] |= found->excluded[i];
        break;
      }
      if (ended(member) != nullptr) {
        excluded[static_cast<std::size_t>(member)] = 1;
        same = false;
        break;
      }
      check_cancelled();
      if (deadline.passed(now())) throw_timeout(station_.name(run_rank(member)) + " to agree on the survivors", start);
      wait_step({run_rank(member)}, deadline);
    }
  }
  return false;
}

}  // namespace muster
