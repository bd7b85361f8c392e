#include "cluster/sim/deadlock.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cluster/outcome.h"
#include "cluster/tags.h"

namespace muster {

namespace {

constexpr std::size_t kMostNamed = 16;

std::string describe_tags(const BlockedRank& blocked) {
  if (!blocked.receiving) return "to make room or agree";
  if (blocked.tags.empty()) return "any tag";
  if (blocked.tags.front() >= kFirstReservedTag)
    return describe({doing_of(blocked.tags.front(), Doing::receiving), false});
  return fmt::format("tag {}", fmt::join(blocked.tags, ", "));
}

std::string make_sentence(Time at, const std::vector<BlockedRank>& blocked) {
  std::string text = fmt::format("deadlock at {:.9g} s: all {} running ranks are blocked", at, blocked.size());
  for (std::size_t i = 0; i < blocked.size() && i < kMostNamed; ++i) {
    text += (i == 0 ? ": " : "; ") + blocked[i].sentence();
  }
  if (blocked.size() > kMostNamed) text += fmt::format("; and {} more", blocked.size() - kMostNamed);
  return text;
}

}  // namespace

std::string BlockedRank::sentence() const {
  const std::string whom =
      awaited.size() == 1 ? fmt::format("rank {}", awaited.front()) : fmt::format("any of {} ranks", awaited.size());
  return fmt::format("{} waits for {} ({}) since {:.9g} s", rank_on_host(rank, host), whom, describe_tags(*this),
                     since);
}

Deadlock::Deadlock(Time at, std::vector<BlockedRank> blocked)
    : Error(ExitCode::cluster_failed, make_sentence(at, blocked)), blocked_(std::move(blocked)) {}

}  // namespace muster
