#include "option_values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "muster/error.h"
#include "option_set.h"

namespace muster::cli {

namespace {

std::int64_t parse_count(const std::string& option, const std::string& given, const std::string& text,
                         std::int64_t least) {
  std::int64_t count = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || rest != text.data() + text.size() || count < least)
    throw InputError(
        fmt::format("{} {}: what follows the colon is a whole number of at least {}", option, given, least));
  return count;
}

double parse_strength(const std::string& option, const std::string& given, std::string_view text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || !std::isfinite(value) || value < 0)
    throw InputError(fmt::format("{} {}: '{}' is no number of 0 or greater", option, given, text));
  return value;
}

}  // namespace

// A name may hold colons itself.
void add_polynomial(const std::string& text, std::map<std::string, int>& polynomials) {
  const std::size_t colon = text.rfind(':');
  int degree = 0;
  const char* end = text.data() + text.size();
  const char* begin = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [rest, error] = std::from_chars(begin, end, degree);
  if (colon == std::string::npos || colon == 0 || error != std::errc() || rest != end) {
    throw InputError(fmt::format("--poly takes NAME:DEGREE, as in carat:3, not '{}'", text));
  }
  if (degree < 2) throw InputError(fmt::format("--poly {}: the degree must be at least 2", text));
  polynomials[text.substr(0, colon)] = degree;
}

double parse_size(const std::string& given) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"kB", 1e3},     {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"B", 1}};
  double number = 0;
  const char* end = given.data() + given.size();
  const auto [rest, error] = std::from_chars(given.data(), end, number);
  for (const auto& [unit, bytes] : kUnits) {
    if (error == std::errc() && number > 0 && std::string_view(rest, end) == unit) return number * bytes;
  }
  throw InputError(fmt::format("--memory takes a size such as 500MB or 2GB, not '{}'", given));
}

SplitOptions parse_split(const std::string& given) {
  using Kind = SplitOptions::Kind;
  if (given == "auto") return {};
  if (given == "rows") return {Kind::rows, 1, 1};
  if (given == "features") return {Kind::features, 1, 1};
  SplitOptions grid{Kind::grid, 0, 0};
  const char* end = given.data() + given.size();
  const auto [times, bad_rows] = std::from_chars(given.data(), end, grid.rows);
  if (bad_rows == std::errc() && times != end && *times == 'x') {
    const auto [rest, bad_columns] = std::from_chars(times + 1, end, grid.columns);
    if (bad_columns == std::errc() && rest == end && grid.rows >= 1 && grid.columns >= 1) return grid;
  }
  throw InputError(fmt::format("--split is one of auto, rows, features, or ROWSxCOLUMNS as in 2x3, not '{}'", given));
}

Synchronisation parse_sync(const std::string& given) {
  using Kind = Synchronisation::Kind;
  if (given == "bsp") return {Kind::bsp, 0};
  if (given == "async") return {Kind::async, 0};
  if (given.starts_with("ssp:")) return {Kind::ssp, parse_count("--sync", given, given.substr(4), 0)};
  throw InputError(fmt::format("--sync is one of bsp, ssp:S, async, not '{}'", given));
}

MessageCompression parse_compression(const std::string& given) {
  using Kind = MessageCompression::Kind;
  const std::vector<std::pair<std::string, Kind>> plain{
      {"none", Kind::none}, {"float32", Kind::float32}, {"float16", Kind::float16}, {"int8", Kind::int8}};
  for (const auto& [word, kind] : plain)
    if (given == word) return {kind, 0};
  if (given.starts_with("topk:")) return {Kind::top_k, parse_count("--compress", given, given.substr(5), 1)};
  throw InputError(fmt::format("--compress is one of none, float32, float16, int8, topk:K, not '{}'", given));
}

std::vector<double> parse_strengths(const std::string& option, const std::string& given) {
  std::vector<double> strengths;
  const std::size_t first = given.find(':'), second = first == std::string::npos ? first : given.find(':', first + 1);
  if (first == std::string::npos) {
    for (const std::string& one : split_list(given)) strengths.push_back(parse_strength(option, given, one));
    if (strengths.empty()) throw InputError(option + " is empty");
    return strengths;
  }
  const std::string_view text(given);
  if (second == std::string::npos)
    throw InputError(fmt::format("{} takes FROM:TO:COUNT or a list A,B,C, not '{}'", option, given));
  const double from = parse_strength(option, given, text.substr(0, first));
  const double to = parse_strength(option, given, text.substr(first + 1, second - first - 1));
  std::int64_t count = 0;
  const auto [rest, error] = std::from_chars(given.data() + second + 1, given.data() + given.size(), count);
  if (error != std::errc() || rest != given.data() + given.size() || count < 2 || count > 10'000)
    throw InputError(fmt::format("{} {}: COUNT is a whole number from 2 to 10,000", option, given));
  if (!(from > 0) || !(to > 0)) throw InputError(fmt::format("{} {}: FROM and TO are greater than 0", option, given));
  for (std::int64_t i = 0; i < count; ++i)
    strengths.push_back(from * std::pow(to / from, static_cast<double>(i) / static_cast<double>(count - 1)));
  return strengths;
}

}  // namespace muster::cli
