#include "words.h"

#include <fmt/format.h>

#include <cmath>

namespace muster::cli {

std::string grouped(std::int64_t count) {
  std::string digits = std::to_string(count);
  const int first = digits[0] == '-' ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string scaled(double value) {
  for (const char* prefix : {"", "k", "M", "G"}) {
    if (std::fabs(value) < 999.5 || *prefix == 'G') {
      const int decimals = std::fabs(value) < 9.95 && *prefix != '\0' ? 1 : 0;
      return fmt::format("{:.{}f} {}", value, decimals, prefix);
    }
    value /= 1000;
  }
  return {};
}

std::string duration(double seconds) {
  if (seconds < 1) return fmt::format("{:.2g} s", seconds);
  if (seconds < 99.5) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", grouped(whole / 3600), whole % 3600 / 60);
}

std::string ranges(const std::vector<int>& ascending) {
  std::string text;
  for (std::size_t i = 0, end = 0; i < ascending.size(); i = end) {
    for (end = i + 1; end < ascending.size() && ascending[end] == ascending[end - 1] + 1;) ++end;
    text += fmt::format("{}{}", i ? "," : "", ascending[i]);
    if (end > i + 1) text += fmt::format("-{}", ascending[end - 1]);
  }
  return text;
}

}  // namespace muster::cli
