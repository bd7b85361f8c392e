#include "muster/model.h"

#include <fmt/format.h>

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
#include "muster/error.h"

namespace muster {

namespace {

constexpr const char* kFormat = "muster-linear-1";
constexpr const char* kFormatFamily = "muster-linear-";

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

// The library's shortest form that reads back as the same bits, -0.0 and denormals included.
std::string number(double value) {
  return nlohmann::json(value).dump();
}

std::string loss_name(Loss loss) {
  return loss == Loss::squared ? "squared" : "logistic";
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
  if (!std::isfinite(model.intercept)) refuse("the intercept");
  for (const Coefficient& coefficient : model.coefficients) {
    if (!std::isfinite(coefficient.value)) refuse(fmt::format("the coefficient of '{}'", coefficient.feature));
  }
}

// Written by hand, line by line, because a document of millions of coefficients would hold them several times over.
std::string to_text(const Model& model) {
  const Encoding& encoding = *model.encoding;
  std::string text = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"loss\": \"{}\",\n  \"target\": {},\n  \"has_intercept\": {},\n"
      "  \"intercept\": {},\n  \"coefficients\": [",
      kFormat, loss_name(model.loss), quoted(encoding.target), model.has_intercept, number(model.intercept));
  const char* separator = "\n    ";
  for (const Coefficient& coefficient : model.coefficients) {
    text += fmt::format(R"({}{{"feature": {}, "value": {}}})", separator, quoted(coefficient.feature),
                        number(coefficient.value));
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
  if (text == "squared") return Loss::squared;
  if (text == "logistic") return Loss::logistic;
  json.refuse("loss", fmt::format("is '{}', which this version of Muster does not know", text));
}

StopReason stop_reason_from_json(const JsonObject& json) {
  const std::string text = json.text("stop_reason");
  if (const auto reason = stop_reason_from_name(text)) return *reason;
  json.refuse("stop_reason", fmt::format("is '{}', which this version of Muster does not know", text));
}

}  // namespace

void Model::save(const std::string& path) const {
  MUSTER_CHECK(encoding != nullptr, "a model without an encoding can not be saved");
  MUSTER_CHECK(encoding->format == Format::libsvm || encoding->features.size() == coefficients.size(),
               "a model has one coefficient a feature");
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
      model.coefficients.push_back({coefficient.text("feature"), coefficient.number("value")});
    } catch (const InputError&) {
      damaged = std::current_exception();
    }
  };
  const nlohmann::json document = parse_json_list(read_text_file(path), path, "coefficients", add);
  const JsonObject json(document, path, "");
  check_format(json, path);
  model.loss = loss_from_json(json);
  model.has_intercept = json.boolean("has_intercept");
  model.intercept = json.number("intercept");
  std::vector<std::string> names;
  if (damaged) std::rethrow_exception(damaged);
  json.objects("coefficients");  // what is left in it is no object
  for (const Coefficient& coefficient : model.coefficients) names.push_back(coefficient.feature);
  Encoding encoding = encoding_from_json(json.object("encoding"), names);
  if (model.loss == Loss::logistic && encoding.positive_level.empty()) {
    json.object("encoding").refuse("positive_level", "is empty in a logistic model");
  }
  model.encoding = std::make_shared<const Encoding>(std::move(encoding));
  model.stop_reason = stop_reason_from_json(json);
  model.certificate = certificate_from_json(json.object("certificate"));
  return model;
}

}  // namespace muster
