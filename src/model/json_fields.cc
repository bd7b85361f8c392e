#include "model/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "muster/error.h"

namespace muster {

JsonObject::JsonObject(const nlohmann::json& value, std::string path, std::string key)
    : value_(&value), path_(std::move(path)), key_(std::move(key)) {
  if (!value.is_object())
    throw InputError(fmt::format("{}: {} is not an object", path_, key_.empty() ? "the document" : key_));
}

std::string JsonObject::name_of(const std::string& key) const {
  return key_.empty() ? key : key_ + "." + key;
}

void JsonObject::refuse(const char* key, const std::string& complaint) const {
  throw InputError(fmt::format("{}: {} {}", path_, name_of(key), complaint));
}

bool JsonObject::has(const char* key) const {
  return value_->contains(key);
}

const nlohmann::json& JsonObject::at(const char* key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) refuse(key, "is missing");
  return *found;
}

double JsonObject::number(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_number()) refuse(key, "is not a number");
  return value.get<double>();
}

double JsonObject::number_or_nan(const char* key) const {
  return at(key).is_null() ? std::numeric_limits<double>::quiet_NaN() : number(key);
}

std::optional<double> JsonObject::optional_number(const char* key) const {
  if (!has(key) || at(key).is_null()) return std::nullopt;
  return number(key);
}

std::int64_t JsonObject::integer(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_number_integer()) refuse(key, "is not a whole number");
  return value.get<std::int64_t>();
}

bool JsonObject::boolean(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_boolean()) refuse(key, "is not true or false");
  return value.get<bool>();
}

std::string JsonObject::text(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_string()) refuse(key, "is not a text");
  return value.get<std::string>();
}

std::vector<std::string> JsonObject::texts(const char* key) const {
  std::vector<std::string> result;
  const nlohmann::json& list = at(key);
  if (!list.is_array()) refuse(key, "is not a list");
  for (const nlohmann::json& value : list) {
    if (!value.is_string()) refuse(key, "is not a list of texts");
    result.push_back(value.get<std::string>());
  }
  return result;
}

std::vector<double> JsonObject::number_list(const char* key) const {
  std::vector<double> result;
  const nlohmann::json& list = at(key);
  if (!list.is_array()) refuse(key, "is not a list");
  for (const nlohmann::json& value : list) {
    if (!value.is_number()) refuse(key, "is not a list of numbers");
    result.push_back(value.get<double>());
  }
  return result;
}

JsonObject JsonObject::object(const char* key) const {
  return {at(key), path_, name_of(key)};
}

std::vector<JsonObject> JsonObject::objects(const char* key) const {
  std::vector<JsonObject> result;
  const nlohmann::json& list = at(key);
  if (!list.is_array()) refuse(key, "is not a list");
  result.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    result.emplace_back(list[i], path_, fmt::format("{}[{}]", name_of(key), i));
  }
  return result;
}

std::vector<std::pair<std::string, double>> JsonObject::numbers(const char* key) const {
  const JsonObject table = object(key);
  std::vector<std::pair<std::string, double>> result;
  for (const auto& [name, value] : table.value_->items()) result.emplace_back(name, table.number(name.c_str()));
  return result;
}

namespace {

nlohmann::json parse_with(const std::string& text, const std::string& path,
                          const nlohmann::json::parser_callback_t& callback) {
  try {
    return nlohmann::json::parse(text, callback);
  } catch (const nlohmann::json::parse_error& error) {
    // error.byte counts from 1 and is the last character read; its text is too long for one sentence.
    const std::size_t end = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    const std::size_t line_end = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    const std::size_t column = line_end == std::string::npos ? end + 1 : end - line_end;
    throw InputError(fmt::format("{}:{}:{}: {}", path, line, column,
                                 text.empty()         ? "the file is empty"
                                 : end >= text.size() ? "the file ends too early"
                                                      : "not valid JSON here"));
  } catch (const nlohmann::json::exception&) {  // the only other: a number beyond the range of double
    throw InputError(fmt::format("{}: a number is too large", path));
  }
}

}  // namespace

nlohmann::json parse_json_list(const std::string& text, const std::string& path, const std::string& key,
                               const std::function<void(const JsonObject&)>& on_object) {
  using Event = nlohmann::json::parse_event_t;
  bool in_list = false;  // inside the value of `key`
  std::size_t count = 0;
  const auto callback = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth == 1 && event == Event::key) in_list = parsed == key;
    if (!in_list || depth != 2 || event != Event::object_end) return true;
    on_object(JsonObject(parsed, path, fmt::format("{}[{}]", key, count++)));
    return false;
  };
  return parse_with(text, path, callback);
}

nlohmann::json parse_json(const std::string& text, const std::string& path) {
  return parse_with(text, path, nullptr);
}

std::string read_text_file(const std::string& path) {
  const auto fail = [&] { throw InputError(fmt::format("cannot read {}: {}", path, std::strerror(errno))); };
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) fail();
  std::string text;
  char block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof(block), file.get())) text.append(block, count);
  if (std::ferror(file.get())) fail();  // a directory opens, and fails here
  return text;
}

}  // namespace muster
