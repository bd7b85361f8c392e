#include "muster/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/atomic_file.h"
#include "base/check.h"
#include "data/encoding.h"
#include "model/certificate_json.h"
#include "model/encoding_json.h"
#include "model/json_fields.h"
#include "model/loss_names.h"
#include "muster/error.h"

namespace muster {

namespace {

constexpr const char* kFormat = "muster-linear-1";
constexpr const char* kFormatFamily = "muster-linear-";

bool needs_no_escape(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

// Without a document of the library's for the many plain names of columns.
void append_quoted(std::string& to, const std::string& text) {
  if (!std::all_of(text.begin(), text.end(), needs_no_escape)) {
    to += nlohmann::json(text).dump();
    return;
  }
  to += '"';
  to += text;
  to += '"';
}

// The shortest form that reads back as the same bits, denormals included; and -0.0, which as -0 would be an integer.
void append_number(std::string& to, double value) {
  char digits[32];
  const std::string_view text(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
  to += text;
  if (text.find_first_of(".e") == text.npos) to += ".0";
}

void append_numbers(std::string& to, const std::vector<double>& values) {
  const char* separator = "[";
  for (const double value : values) {
    to += separator;
    append_number(to, value);
    separator = ",";
  }
  to += ']';
}

void append_coefficient(std::string& to, const Coefficient& coefficient, bool classes) {
  to += "{\"feature\": ";
  append_quoted(to, coefficient.feature);
  if (classes) {
    to += ", \"values\": ";
    append_numbers(to, coefficient.values);
  } else {
    to += ", \"value\": ";
    append_number(to, coefficient.value);
  }
  to += '}';
}

// `text`, a JSON value of several lines, as a member of an object.
std::string indented(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) text.insert(at + 1, "  ");
  return text;
}

void check_finite(const Model& model, const std::string& path) {
  const auto refuse = [&](const std::string& what) {
    throw InputError(fmt::format("cannot write {}: {} is not a finite number", path, what));
  };
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
  };
  if (!std::isfinite(model.intercept) || !finite(model.intercepts)) refuse("the intercept");
  for (const Coefficient& coefficient : model.coefficients) {
    if (!std::isfinite(coefficient.value) || !finite(coefficient.values))
      refuse(fmt::format("the coefficient of '{}'", coefficient.feature));
  }
}

// What one of a plain name takes, or more.
constexpr std::size_t kCoefficientBytes = 64;

// Written by hand, line by line, because a document of millions of coefficients would hold them several times over.
std::string to_text(const Model& model) {
  const Encoding& encoding = *model.encoding;
  const bool classes = model.loss == Loss::softmax;
  std::string text =
      fmt::format("{{\n  \"format\": \"{}\",\n  \"loss\": \"{}\",\n  \"target\": {},\n  \"has_intercept\": {},\n",
                  kFormat, name(model.loss), nlohmann::json(encoding.target).dump(), model.has_intercept);
  if (classes) {
    text += fmt::format("  \"classes\": {},\n  \"intercepts\": ", nlohmann::json(model.classes).dump());
    append_numbers(text, model.intercepts);
  } else {
    text += "  \"intercept\": ";
    append_number(text, model.intercept);
  }
  text += ",\n  \"coefficients\": [";
  text.reserve(text.size() + kCoefficientBytes * model.coefficients.size());
  const char* separator = "\n    ";
  for (const Coefficient& coefficient : model.coefficients) {
    text += separator;
    append_coefficient(text, coefficient, classes);
    separator = ",\n    ";
  }
  text += fmt::format(
      "\n  ],\n  \"encoding\": {},\n  \"certificate\": {},\n  \"stop_reason\": \"{}\",\n  \"muster\": \"{}\"\n}}\n",
      encoding_to_json(encoding), indented(certificate_to_json(model.certificate).dump(2)), name(model.stop_reason),
      MUSTER_VERSION);
  return text;
}

void check_format(const JsonObject& json, const std::string& path) {
  const std::string format = json.has("format") ? json.text("format") : "";
  if (format == kFormat) return;
  if (format.rfind(kFormatFamily, 0) == 0) {
    throw InputError(fmt::format("{}: format '{}' is not known to Muster {}: a later version wrote it", path, format,
                                 MUSTER_VERSION));
  }
  throw InputError(fmt::format("{}: not a model of Muster (no \"format\": \"{}\")", path, kFormat));
}

Loss loss_from_json(const JsonObject& json) {
  const std::string text = json.text("loss");
  if (const auto loss = loss_from_name(text)) return *loss;
  json.refuse("loss", fmt::format("is '{}', which this version of Muster does not know", text));
}

StopReason stop_reason_from_json(const JsonObject& json) {
  const std::string text = json.text("stop_reason");
  if (const auto reason = stop_reason_from_name(text)) return *reason;
  json.refuse("stop_reason", fmt::format("is '{}', which this version of Muster does not know", text));
}

std::vector<std::string> classes_from_json(const JsonObject& json) {
  std::vector<std::string> classes = json.texts("classes");
  if (classes.size() < 2) json.refuse("classes", "has fewer than two");
  std::vector<std::string> sorted = classes;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) json.refuse("classes", fmt::format("has '{}' twice", *twice));
  return classes;
}

std::vector<double> numbers_by_class(const JsonObject& json, const char* key, const std::vector<std::string>& classes) {
  std::vector<double> values = json.number_list(key);
  if (values.size() != classes.size())
    json.refuse(key, fmt::format("has {} numbers for {} classes", values.size(), classes.size()));
  return values;
}

}  // namespace

void Model::save(const std::string& path) const {
  MUSTER_CHECK(encoding != nullptr, "a model without an encoding can not be saved");
  MUSTER_CHECK(encoding->format == Format::libsvm || encoding->features.size() == coefficients.size(),
               "a model has one coefficient a feature");
  for (const Coefficient& coefficient : coefficients)
    MUSTER_CHECK(coefficient.values.size() == classes.size(), "a model has one coefficient a feature and class");
  MUSTER_CHECK(intercepts.size() == classes.size(), "a model has one intercept a class");
  check_finite(*this, path);
  std::string text;
  try {
    text = to_text(*this);
  } catch (const nlohmann::json::type_error&) {
    throw InputError(fmt::format("cannot write {}: the name or level of a column is not valid UTF-8", path));
  }
  write_file_atomically(path, text);
}

Model Model::load(const std::string& path) {
  Model model;
  std::exception_ptr damaged;  // said after the format, which may be a later one
  const auto add = [&](const JsonObject& coefficient) {
    if (damaged) return;
    try {
      Coefficient& added = model.coefficients.emplace_back(Coefficient{coefficient.text("feature")});
      if (coefficient.has("values")) {
        added.values = coefficient.number_list("values");
      } else {
        added.value = coefficient.number("value");
      }
    } catch (const InputError&) {
      damaged = std::current_exception();
    }
  };
  const nlohmann::json document = parse_json_list(read_text_file(path), path, "coefficients", add);
  const JsonObject json(document, path, "");
  check_format(json, path);
  model.loss = loss_from_json(json);
  model.has_intercept = json.boolean("has_intercept");
  if (model.loss == Loss::softmax) {
    model.classes = classes_from_json(json);
    model.intercepts = numbers_by_class(json, "intercepts", model.classes);
  } else {
    model.intercept = json.number("intercept");
  }
  std::vector<std::string> names;
  if (damaged) std::rethrow_exception(damaged);
  json.objects("coefficients");  // what is left in it is no object
  for (std::size_t j = 0; j < model.coefficients.size(); ++j) {
    const Coefficient& coefficient = model.coefficients[j];
    if (coefficient.values.size() != model.classes.size())
      throw InputError(fmt::format("{}: coefficients[{}].values has {} numbers for {} classes", path, j,
                                   coefficient.values.size(), model.classes.size()));
    names.push_back(coefficient.feature);
  }
  Encoding encoding = encoding_from_json(json.object("encoding"), names);
  if (model.loss == Loss::softmax) encoding.classes = model.classes;
  if (model.loss == Loss::logistic && encoding.classes.empty()) {
    json.object("encoding").refuse("positive_level", "is empty in a logistic model");
  }
  model.encoding = std::make_shared<const Encoding>(std::move(encoding));
  model.stop_reason = stop_reason_from_json(json);
  model.certificate = certificate_from_json(json.object("certificate"));
  return model;
}

}  // namespace muster
