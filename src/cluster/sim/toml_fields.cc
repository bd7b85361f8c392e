#include "cluster/sim/toml_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "muster/error.h"

namespace muster {

namespace {

// Levenshtein's distance.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

std::string suggestion(const std::string& key, const std::vector<std::string>& known) {
  // A key begun as the given one is meant, whatever follows ("latency"); else the one fewest edits away.
  const auto distance = [&key](const std::string& a) { return a.starts_with(key) ? 0 : edits(key, a); };
  const auto nearest = std::min_element(known.begin(), known.end(), [&](const std::string& a, const std::string& b) {
    return distance(a) < distance(b);
  });
  if (nearest == known.end()) return "";
  if (distance(*nearest) == 0 || edits(key, *nearest) <= std::max<std::size_t>(2, key.size() / 2)) {
    return fmt::format("; did you mean '{}'?", *nearest);
  }
  return fmt::format("; it may have {}", fmt::join(known, ", "));
}

}  // namespace

TomlFields::TomlFields(const toml::table& table, const std::string& path, std::string dotted, bool in_array)
    : table_(table), path_(path), dotted_(std::move(dotted)) {
  name_ = dotted_.empty() ? "the file" : fmt::format(fmt::runtime(in_array ? "[[{}]]" : "[{}]"), dotted_);
}

void TomlFields::fail(const toml::node& at, const std::string& what) const {
  const toml::source_position where = at.source().begin;
  throw InputError(fmt::format("{}:{}:{}: {}", path_, where.line, where.column, what));
}

const toml::node* TomlFields::find(const std::string& key) {
  known_.push_back(key);
  return table_.get(key);
}

double TomlFields::checked(const toml::node& node, const std::string& key, Range range) const {
  const std::optional<double> value = node.is_number() ? node.value<double>() : std::nullopt;
  if (!value || std::isnan(*value)) fail(node, fmt::format("'{}' in {} must be a number", key, name_));
  if (range == Range::not_negative && *value < 0)
    fail(node, fmt::format("'{}' in {} must not be negative", key, name_));
  if (range == Range::positive && *value <= 0) fail(node, fmt::format("'{}' in {} must be greater than 0", key, name_));
  if (range == Range::chance && (*value < 0 || *value > 1)) {
    fail(node, fmt::format("'{}' in {} must be between 0 and 1", key, name_));
  }
  return *value;
}

bool TomlFields::number(const std::string& key, double& value, Range range) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  value = checked(*node, key, range);
  return true;
}

bool TomlFields::integer(const std::string& key, std::int64_t& value, std::int64_t least) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  const std::optional<std::int64_t> found = node->is_integer() ? node->value<std::int64_t>() : std::nullopt;
  if (!found || *found < least)
    fail(*node, fmt::format("'{}' in {} must be a whole number, at least {}", key, name_, least));
  value = *found;
  return true;
}

bool TomlFields::flag(const std::string& key, bool& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  if (!node->is_boolean()) fail(*node, fmt::format("'{}' in {} must be true or false", key, name_));
  value = *node->value<bool>();
  return true;
}

bool TomlFields::text(const std::string& key, std::string& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  if (!node->is_string()) fail(*node, fmt::format("'{}' in {} must be text in quotes", key, name_));
  value = *node->value<std::string>();
  return true;
}

bool TomlFields::integers(const std::string& key, std::vector<int>& values) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  const auto refuse = [&](const toml::node& at) {
    fail(at, fmt::format("'{}' in {} must be a list of whole numbers, none negative", key, name_));
  };
  if (!node->is_array()) refuse(*node);
  for (const toml::node& element : *node->as_array()) {
    const std::optional<std::int64_t> found = element.is_integer() ? element.value<std::int64_t>() : std::nullopt;
    if (!found || *found < 0 || *found > 1'000'000'000) refuse(element);
    values.push_back(static_cast<int>(*found));
  }
  return true;
}

bool TomlFields::numbers(const std::string& key, std::vector<double>& values, Range range) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  if (!node->is_array() || node->as_array()->empty()) {
    fail(*node, fmt::format("'{}' in {} must be a list of numbers", key, name_));
  }
  for (const toml::node& element : *node->as_array()) values.push_back(checked(element, key, range));
  return true;
}

bool TomlFields::texts(const std::string& key, std::vector<std::string>& values) {
  const toml::node* node = find(key);
  if (node == nullptr) return false;
  const auto refuse = [&](const toml::node& at) {
    fail(at, fmt::format("'{}' in {} must be a list of texts", key, name_));
  };
  if (!node->is_array()) refuse(*node);
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_string()) refuse(element);
    values.push_back(*element.value<std::string>());
  }
  return true;
}

const toml::node* TomlFields::raw(const std::string& key) {
  return find(key);
}

std::optional<TomlFields> TomlFields::table(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) fail(*node, fmt::format("'{}' in {} must be a table", key, name_));
  return TomlFields(*node->as_table(), path_, dotted(key));
}

void TomlFields::tables(const std::string& key, const std::function<void(TomlFields&)>& each) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_array_of_tables()) fail(*node, fmt::format("'{}' in {} must be tables in double brackets", key, name_));
  for (const toml::node& element : *node->as_array()) {
    TomlFields fields(*element.as_table(), path_, dotted(key), true);
    each(fields);
    fields.finish();
  }
}

void TomlFields::finish() const {
  for (const auto& [key, node] : table_) {
    const std::string text(key.str());
    if (std::find(known_.begin(), known_.end(), text) != known_.end()) continue;
    const toml::source_position where = key.source().begin;
    throw InputError(fmt::format("{}:{}:{}: unknown key '{}' in {}{}", path_, where.line, where.column, text, name_,
                                 suggestion(text, known_)));
  }
}

}  // namespace muster
