#include "engine/memory_limit.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace muster {
namespace {

constexpr double kRowsShare = 0.75;
// A pass holds some five windows, and two may be under way: a quarter of the limit at most.
constexpr double kWindowsInLimit = 40;
constexpr double kSmallestWindow = 256e3, kLargestWindow = 16e6;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// The number behind `name` in a file of lines "name number"; an empty name: the first word is the number.
std::optional<double> number_in(const std::filesystem::path& file, const std::string& name = {}) {
  std::ifstream in(file);
  std::string word;
  double number = 0;
  if (name.empty()) return in >> number ? std::optional(number) : std::nullopt;
  while (in >> word) {
    if (word == name && in >> number) return number;
  }
  return std::nullopt;
}

// What a control group leaves: its limit less what it uses that is no cache of files.
double left_in_group(const std::filesystem::path& group) {
  const std::optional<double> limit = number_in(group / "memory.max"), used = number_in(group / "memory.current");
  if (!limit || !used) return kNoLimit;
  return std::max(*limit - *used + number_in(group / "memory.stat", "file").value_or(0), 0.0);
}

double left_in_groups() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  double least = left_in_group(root);
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    if (!line.starts_with("0::/")) continue;
    for (std::filesystem::path group = line.substr(4); !group.empty(); group = group.parent_path())
      least = std::min(least, left_in_group(root / group));
  }
  return least;
}

int ranks_on_host(Endpoint& endpoint) {
  int ranks = 0;
  for (int r = 0; r < endpoint.size(); ++r) ranks += endpoint.host(r) == endpoint.host(endpoint.rank());
  return ranks;
}

}  // namespace

double available_memory() {
  constexpr double kKilobyte = 1024;  // /proc writes "kB"
  const double machine = number_in("/proc/meminfo", "MemAvailable:").value_or(kNoLimit) * kKilobyte;
  return std::min(machine, left_in_groups());
}

RowBudget& MemoryLimit::rows(Endpoint& endpoint) {
  std::call_once(once_, [&] {
    const int processes = ranks_share_process_ ? 1 : ranks_on_host(endpoint);
    bytes_ = asked_bytes_ > 0 ? asked_bytes_ : available_memory() / processes;
    rows_ = std::make_unique<RowBudget>(kRowsShare * bytes_);
  });
  return *rows_;
}

double MemoryLimit::window_bytes(int readers) const {
  const double ranks = ranks_share_process_ ? std::max(readers, 1) : 1;
  return std::clamp(bytes_ / ranks / kWindowsInLimit, kSmallestWindow, kLargestWindow);
}

}  // namespace muster
