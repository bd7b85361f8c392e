#include "model/encoding_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::int64_t kVersion = 1;

template <class Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<Format, 3> kFormats{{{Format::csv, "csv"}, {Format::parquet, "parquet"}, {Format::libsvm, "libsvm"}}};
constexpr Names<MissingPolicy, 3> kPolicies{
    {{MissingPolicy::error, "error"}, {MissingPolicy::drop, "drop"}, {MissingPolicy::mean, "mean"}}};
constexpr Names<Feature::Kind, 3> kKinds{
    {{Feature::Kind::numeric, "numeric"}, {Feature::Kind::level, "level"}, {Feature::Kind::power, "power"}}};

template <class Enum, std::size_t N>
std::string name_in(const Names<Enum, N>& names, Enum value) {
  for (const auto& [known, text] : names) {
    if (known == value) return std::string(text);
  }
  MUSTER_CHECK(false, "a value without a name in model.json");
}

template <class Enum, std::size_t N>
Enum value_in(const Names<Enum, N>& names, const JsonObject& json, const char* key) {
  const std::string text = json.text(key);
  for (const auto& [value, known] : names) {
    if (known == text) return value;
  }
  json.refuse(key, fmt::format("is '{}', which this version of Muster does not know", text));
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

// LIBSVM features have no columns, and there may be millions: the names say everything.
bool is_plain(const Encoding& encoding) {
  return encoding.format == Format::libsvm &&
         std::all_of(encoding.features.begin(), encoding.features.end(), [](const Feature& feature) {
           return feature.kind == Feature::Kind::numeric && feature.column.empty();
         });
}

std::string feature_to_json(const Feature& feature) {
  std::string text =
      fmt::format(R"({{"column": {}, "kind": "{}")", quoted(feature.column), name_in(kKinds, feature.kind));
  if (feature.kind == Feature::Kind::level) text += fmt::format(R"(, "level": {})", quoted(feature.level));
  if (feature.kind == Feature::Kind::power) text += fmt::format(R"(, "degree": {})", feature.degree);
  return text + "}";
}

template <class Range, class ToText>
std::string list_to_json(const Range& range, ToText&& to_text) {
  std::string text = "[";
  const char* separator = "\n      ";
  for (const auto& element : range) {
    text += separator;
    text += to_text(element);
    separator = ",\n      ";
  }
  return text + (range.empty() ? "]" : "\n    ]");
}

Feature feature_from_json(const JsonObject& json, const std::string& name) {
  Feature feature;
  feature.name = name;
  feature.column = json.text("column");
  feature.kind = value_in(kKinds, json, "kind");
  if (feature.kind == Feature::Kind::level) feature.level = json.text("level");
  if (feature.kind == Feature::Kind::power) {
    const std::int64_t degree = json.integer("degree");
    if (degree < 2 || degree > 1000) json.refuse("degree", "is not between 2 and 1000");
    feature.degree = static_cast<int>(degree);
  }
  return feature;
}

std::vector<Feature> features_from_json(const JsonObject& json, const std::vector<std::string>& names) {
  std::vector<Feature> features;
  features.reserve(names.size());
  if (!json.has("features")) {
    for (const std::string& name : names) features.push_back({.name = name, .column = {}, .level = {}});
    return features;
  }
  const std::vector<JsonObject> list = json.objects("features");
  if (list.size() != names.size()) {
    json.refuse("features", fmt::format("has {} entries for {} coefficients", list.size(), names.size()));
  }
  for (std::size_t j = 0; j < names.size(); ++j) features.push_back(feature_from_json(list[j], names[j]));
  return features;
}

}  // namespace

std::string encoding_to_json(const Encoding& encoding) {
  std::string text = "{";
  const char* separator = "\n    ";
  const auto add = [&](const char* key, const std::string& value) {
    text += fmt::format("{}\"{}\": {}", separator, key, value);
    separator = ",\n    ";
  };
  add("version", std::to_string(kVersion));
  add("format", quoted(name_in(kFormats, encoding.format)));
  add("target", quoted(encoding.target));
  add("weight", quoted(encoding.weight));
  add("offset", quoted(encoding.offset));
  add("negative_level", quoted(encoding.negative_level));
  add("positive_level", quoted(encoding.positive_level));
  add("missing", quoted(name_in(kPolicies, encoding.missing)));
  add("fill", nlohmann::json(encoding.fill).dump());
  add("libsvm_base", std::to_string(encoding.libsvm_base));
  add("categoricals", list_to_json(encoding.categoricals, [](const CategoricalColumn& categorical) {
        return fmt::format(R"({{"column": {}, "levels": {}}})", quoted(categorical.column),
                           nlohmann::json(categorical.levels).dump());
      }));
  if (!is_plain(encoding)) add("features", list_to_json(encoding.features, feature_to_json));
  return text + "\n  }";
}

Encoding encoding_from_json(const JsonObject& json, const std::vector<std::string>& names) {
  if (json.integer("version") != kVersion) {
    json.refuse("version", fmt::format("is {}, which this version of Muster does not know", json.integer("version")));
  }
  Encoding encoding;
  encoding.format = value_in(kFormats, json, "format");
  encoding.target = json.text("target");
  encoding.weight = json.text("weight");
  encoding.offset = json.text("offset");
  encoding.negative_level = json.text("negative_level");
  encoding.positive_level = json.text("positive_level");
  encoding.missing = value_in(kPolicies, json, "missing");
  for (auto& [column, value] : json.numbers("fill")) encoding.fill.emplace(column, value);
  const std::int64_t base = json.integer("libsvm_base");
  if (base != 0 && base != 1) json.refuse("libsvm_base", "is neither 0 nor 1");
  encoding.libsvm_base = static_cast<int>(base);
  for (const JsonObject& categorical : json.objects("categoricals")) {
    encoding.categoricals.push_back({categorical.text("column"), categorical.texts("levels")});
  }
  encoding.features = features_from_json(json, names);
  return encoding;
}

}  // namespace muster
