#include "model/encoding_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
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

constexpr std::size_t kZerosListed = 1'000'000;  // of LIBSVM data of up to so many columns

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

// Without the count, which earlier versions did not write, every coefficient is listed.
std::size_t libsvm_features_from_json(const JsonObject& json, int base, const std::vector<std::string>& names) {
  const std::int64_t count =
      json.has("libsvm_features") ? json.integer("libsvm_features") : static_cast<std::int64_t>(names.size());
  if (count < 1) json.refuse("libsvm_features", "is not a number of columns");
  std::int64_t last = base - 1;
  for (const std::string& name : names) {
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool number = error == std::errc() && end == name.data() + name.size();
    if (!number || index <= last || index >= base + count) {
      json.refuse("libsvm_features",
                  fmt::format("does not go with the coefficient of '{}': indices ascend from {} to {}", name, base,
                              base + count - 1));
    }
    last = index;
  }
  return static_cast<std::size_t>(count);
}

std::vector<Feature> features_from_json(const JsonObject& json, const std::vector<std::string>& names) {
  std::vector<Feature> features;
  features.reserve(names.size());
  const std::vector<JsonObject> list = json.objects("features");
  if (list.size() != names.size()) {
    json.refuse("features", fmt::format("has {} entries for {} coefficients", list.size(), names.size()));
  }
  for (std::size_t j = 0; j < names.size(); ++j) features.push_back(feature_from_json(list[j], names[j]));
  return features;
}

}  // namespace

bool lists_coefficient(const Encoding& encoding, double value) {
  return value != 0 || encoding.format != Format::libsvm || encoding.libsvm_features <= kZerosListed;
}

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
  const bool two = encoding.classes.size() == 2;
  add("negative_level", quoted(two ? encoding.classes[0] : ""));
  add("positive_level", quoted(two ? encoding.classes[1] : ""));
  add("missing", quoted(name_in(kPolicies, encoding.missing)));
  add("fill", nlohmann::json(encoding.fill).dump());
  add("libsvm_base", std::to_string(encoding.libsvm_base));
  add("categoricals", list_to_json(encoding.categoricals, [](const CategoricalColumn& categorical) {
        return fmt::format(R"({{"column": {}, "levels": {}}})", quoted(categorical.column),
                           nlohmann::json(categorical.levels).dump());
      }));
  if (encoding.format == Format::libsvm) {
    add("libsvm_features", std::to_string(encoding.libsvm_features));
  } else {
    add("features", list_to_json(encoding.features, feature_to_json));
  }
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
  const std::string negative = json.text("negative_level"), positive = json.text("positive_level");
  if (!positive.empty()) encoding.classes = {negative, positive};
  encoding.missing = value_in(kPolicies, json, "missing");
  for (auto& [column, value] : json.numbers("fill")) encoding.fill.emplace(column, value);
  const std::int64_t base = json.integer("libsvm_base");
  if (base != 0 && base != 1) json.refuse("libsvm_base", "is neither 0 nor 1");
  encoding.libsvm_base = static_cast<int>(base);
  for (const JsonObject& categorical : json.objects("categoricals")) {
    encoding.categoricals.push_back({categorical.text("column"), categorical.texts("levels")});
  }
  if (encoding.format == Format::libsvm) {
    encoding.libsvm_features = libsvm_features_from_json(json, encoding.libsvm_base, names);
  } else {
    encoding.features = features_from_json(json, names);
  }
  return encoding;
}

}  // namespace muster
