// The options of one subcommand: a thin layer over CLI11 that turns every mistake into one sentence and lays out help.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace muster::cli {

// Targets are written when parse() runs; they must live until then.
class OptionSet {
 public:
  // usage: what follows "muster NAME", as in "DATA... --target NAME [options]".
  OptionSet(std::string name, const std::string& summary, std::string usage);
  ~OptionSet();

  // The heading in --help for the options added from here on.
  void group(const std::string& heading) { group_ = heading; }

  // names: as in "-o,--output". shown: what stands for the value in help.
  void text(const std::string& names, const std::string& shown, std::string& target, const std::string& help);
  void flag(const std::string& names, bool& target, const std::string& help);
  void number(const std::string& names, const std::string& shown, double& target, const std::string& help);
  template <class Integer>
  void integer(const std::string& names, const std::string& shown, std::int64_t least, Integer& target,
               const std::string& help) {
    constexpr Integer kMost = std::numeric_limits<Integer>::max();
    constexpr std::int64_t kLimit = std::in_range<std::int64_t>(kMost) ? static_cast<std::int64_t>(kMost)
                                                                       : std::numeric_limits<std::int64_t>::max();
    value(names, shown, help, [names, least, &target](const std::string& given) {
      target = static_cast<Integer>(to_integer(last_name(names), given, least, kLimit));
    });
  }
  // A list separated by commas, repeatable; "\," is a comma inside a name.
  void list(const std::string& names, const std::string& shown, std::vector<std::string>& target,
            const std::string& help);
  template <class Enum>
  void choice(const std::string& names, const std::vector<std::pair<std::string, Enum>>& choices, Enum& target,
              const std::string& help) {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : choices) words.push_back(word);
    value(names, joined(words, "|"), help, [names, words, choices, &target](const std::string& given) {
      target = choices[index_of(last_name(names), given, words)].second;
    });
  }
  // Any other value: take throws InputError.
  void value(const std::string& names, const std::string& shown, const std::string& help,
             const std::function<void(const std::string&)>& take);

  // Words that are not options: one that is required, or one or more.
  void one_word(const std::string& shown, std::string& target, const std::string& help);
  void words(const std::string& shown, std::vector<std::string>& target, const std::string& help);

  // False: the user asked for help. Throws InputError.
  bool parse(std::vector<std::string> arguments);
  std::string help() const;

 private:
  struct HelpLine {
    std::string group, option, text;
  };

  void describe(const std::string& option, const std::string& help) { lines_.push_back({group_, option, help}); }
  [[noreturn]] void refuse_extras(const std::vector<std::string>& extras) const;

  static std::string last_name(const std::string& names);
  static std::string joined(const std::vector<std::string>& words, const std::string& separator);
  static std::size_t index_of(const std::string& option, const std::string& given,
                              const std::vector<std::string>& words);
  static std::int64_t to_integer(const std::string& option, const std::string& given, std::int64_t least,
                                 std::int64_t most);

  std::unique_ptr<CLI::App> app_;
  std::string name_, summary_, usage_, group_;
  std::vector<HelpLine> lines_;
  std::vector<std::string> required_;  // words that must be there, as shown in help
};

// Splits at commas; "\," stays a comma. Blanks around elements go; empty elements are left out.
std::vector<std::string> split_list(const std::string& text);

}  // namespace muster::cli
