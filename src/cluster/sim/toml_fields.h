// Reading a table of a TOML file field by field, so that whatever is not asked for is an error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace muster {

class TomlFields {
 public:
  // dotted: the table's name ("links.inter_host"), empty for the whole file. table and path outlive this.
  TomlFields(const toml::table& table, const std::string& path, std::string dotted, bool in_array = false);

  enum class Range { any, not_negative, positive, chance };

  // Each leaves `value` alone where the key is absent, and throws InputError where it has another type or range.
  bool number(const std::string& key, double& value, Range range);
  bool integer(const std::string& key, std::int64_t& value, std::int64_t least);
  bool flag(const std::string& key, bool& value);
  bool text(const std::string& key, std::string& value);
  bool integers(const std::string& key, std::vector<int>& values);
  bool numbers(const std::string& key, std::vector<double>& values, Range range);
  bool texts(const std::string& key, std::vector<std::string>& values);
  // The value as it is; null where absent.
  const toml::node* raw(const std::string& key);
  // The sub-table, absent or not.
  std::optional<TomlFields> table(const std::string& key);
  // Calls each(fields) for every table of an array of tables.
  void tables(const std::string& key, const std::function<void(TomlFields&)>& each);

  // After all known keys were asked for: throws at the first other one.
  void finish() const;

  [[noreturn]] void fail(const toml::node& at, const std::string& what) const;
  [[noreturn]] void fail(const std::string& what) const { fail(table_, what); }
  const std::string& name() const { return name_; }  // for messages: "[node]", "[[nodes]]", "the file"
  std::string dotted(const std::string& key) const { return dotted_.empty() ? key : dotted_ + "." + key; }
  const std::string& path() const { return path_; }

 private:
  const toml::node* find(const std::string& key);
  double checked(const toml::node& node, const std::string& key, Range range) const;

  const toml::table& table_;
  const std::string& path_;
  std::string dotted_, name_;
  std::vector<std::string> known_;
};

}  // namespace muster
