// Typed access to JSON that people may have edited: every failure is one sentence naming the file and the key.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace muster {

// One object of a JSON file and where it is, as in "model.json: certificate". Lifetime: of the JSON it looks at.
//
// Failure: every function throws InputError "PATH: KEY is missing" or "PATH: KEY is not a number".
class JsonObject {
 public:
  JsonObject(const nlohmann::json& value, std::string path, std::string key);

  double number(const char* key) const;                          // finite
  double number_or_nan(const char* key) const;                   // null: NaN
  std::optional<double> optional_number(const char* key) const;  // null or missing: none
  std::int64_t integer(const char* key) const;
  bool boolean(const char* key) const;
  std::string text(const char* key) const;
  std::vector<std::string> texts(const char* key) const;
  std::vector<double> number_list(const char* key) const;  // all finite
  JsonObject object(const char* key) const;
  std::vector<JsonObject> objects(const char* key) const;
  std::vector<std::pair<std::string, double>> numbers(const char* key) const;  // an object of numbers
  bool has(const char* key) const;

  // Throws InputError "PATH: KEY COMPLAINT".
  [[noreturn]] void refuse(const char* key, const std::string& complaint) const;

 private:
  const nlohmann::json& at(const char* key) const;
  std::string name_of(const std::string& key) const;

  const nlohmann::json* value_;
  std::string path_;
  std::string key_;  // "" at the top, else "certificate" or "coefficients[3]"
};

// Parses a whole file. Throws InputError naming the path, and line and column of the first character that is not JSON.
nlohmann::json parse_json(const std::string& text, const std::string& path);

// The same, but the objects in the list at `key` of the document are handed over one by one and not kept: there may be
// millions of them.
nlohmann::json parse_json_list(const std::string& text, const std::string& path, const std::string& key,
                               const std::function<void(const JsonObject&)>& on_object);

// Throws InputError "cannot read PATH: cause".
std::string read_text_file(const std::string& path);

}  // namespace muster
