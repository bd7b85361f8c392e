#include "option_set.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <string_view>

#include "muster/error.h"
#include "nearest.h"

namespace muster::cli {

namespace {

constexpr std::size_t kHelpColumn = 30;
constexpr std::size_t kHelpWidth = 100;

// Wraps text to lines that begin at kHelpColumn; the cursor is at column `at`.
std::string wrapped(const std::string& text, std::size_t at) {
  std::string result;
  const auto begin_line = [&] {
    result += '\n' + std::string(kHelpColumn, ' ');
    at = kHelpColumn;
  };
  if (at + 1 > kHelpColumn) begin_line();
  result.append(kHelpColumn - at, ' ');
  at = kHelpColumn;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (at > kHelpColumn && at + 1 + word.size() > kHelpWidth) begin_line();
    if (at > kHelpColumn) result += ' ', ++at;
    result += word;
    at += word.size();
  }
  return result + '\n';
}

std::string stripped(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> elements(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
      elements.back() += text[++i];
    } else if (text[i] == ',') {
      elements.emplace_back();
    } else {
      elements.back() += text[i];
    }
  }
  for (std::string& element : elements) element = stripped(element);
  std::erase(elements, "");
  return elements;
}

OptionSet::OptionSet(std::string name, const std::string& summary, std::string usage)
    : app_(std::make_unique<CLI::App>(summary, name)),
      name_(std::move(name)),
      summary_(summary),
      usage_(std::move(usage)) {
  app_->set_help_flag();  // parse() looks for it first: help is for those whose command is not right yet
}

OptionSet::~OptionSet() = default;

std::string OptionSet::last_name(const std::string& names) {
  const std::size_t comma = names.rfind(',');
  return comma == std::string::npos ? names : names.substr(comma + 1);
}

std::string OptionSet::joined(const std::vector<std::string>& words, const std::string& separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::size_t OptionSet::index_of(const std::string& option, const std::string& given,
                                const std::vector<std::string>& words) {
  const auto found = std::find(words.begin(), words.end(), given);
  if (found == words.end()) {
    throw InputError(
        fmt::format("{} is one of {}, not '{}'{}", option, fmt::join(words, ", "), given, did_you_mean(given, words)));
  }
  return static_cast<std::size_t>(found - words.begin());
}

std::int64_t OptionSet::to_integer(const std::string& option, const std::string& given, std::int64_t least,
                                   std::int64_t most) {
  std::int64_t value = 0;
  const char* end = given.data() + given.size();
  const auto [rest, error] = std::from_chars(given.data(), end, value);
  if (error == std::errc::invalid_argument || rest != end) {
    throw InputError(fmt::format("{} takes a whole number, not '{}'", option, given));
  }
  if (error == std::errc::result_out_of_range || value > most) {
    throw InputError(fmt::format("{} {} is too large: at most {}", option, given, most));
  }
  if (value < least) throw InputError(fmt::format("{} must be at least {}, not {}", option, least, given));
  return value;
}

void OptionSet::value(const std::string& names, const std::string& shown, const std::string& help,
                      const std::function<void(const std::string&)>& take) {
  // Given twice, the last one counts, so that a script's defaults can be overruled at the end of its line.
  app_->add_option_function<std::string>(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  describe(names + " " + shown, help);
}

void OptionSet::text(const std::string& names, const std::string& shown, std::string& target, const std::string& help) {
  value(names, shown, help, [names, &target](const std::string& given) {
    if (given.empty()) throw InputError(fmt::format("{} is empty", last_name(names)));
    target = given;
  });
}

void OptionSet::number(const std::string& names, const std::string& shown, double& target, const std::string& help) {
  value(names, shown, help, [names, &target](const std::string& given) {
    const char* end = given.data() + given.size();
    const auto [rest, error] = std::from_chars(given.data(), end, target);
    if (error != std::errc() || rest != end || !std::isfinite(target)) {
      throw InputError(fmt::format("{} takes a number, not '{}'", last_name(names), given));
    }
  });
}

void OptionSet::flag(const std::string& names, bool& target, const std::string& help) {
  app_->add_flag_function(names, [&target](std::int64_t) { target = true; })->disable_flag_override();
  describe(names, help);
}

void OptionSet::list(const std::string& names, const std::string& shown, std::vector<std::string>& target,
                     const std::string& help) {
  const auto take = [&target](const std::vector<std::string>& given) {
    for (const std::string& text : given) {
      for (std::string& element : split_list(text)) target.push_back(std::move(element));
    }
  };
  // One value each time: "--features A data.csv" leaves data.csv alone.
  app_->add_option_function<std::vector<std::string>>(names, take)->allow_extra_args(false);
  describe(names + " " + shown, help);
}

void OptionSet::one_word(const std::string& shown, std::string& target, const std::string& help) {
  app_->add_option(shown, target)->required();
  required_.push_back(shown);
  describe(shown, help);
}

void OptionSet::words(const std::string& shown, std::vector<std::string>& target, const std::string& help) {
  app_->add_option(shown, target)->required();
  required_.push_back(shown);
  describe(shown + "...", help);
}

void OptionSet::refuse_extras(const std::vector<std::string>& extras) const {
  std::vector<std::string> known{"--help"};
  for (const CLI::Option* option : app_->get_options()) {
    for (const std::string& long_name : option->get_lnames()) known.push_back("--" + long_name);
  }
  const std::string given = extras.front().substr(0, extras.front().find('='));
  throw InputError(fmt::format("{} has no option {}{}; 'muster {} --help' lists all", name_, given,
                               did_you_mean(given, known), name_));
}

bool OptionSet::parse(std::vector<std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "-h" || argument == "--help") return false;
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app_->parse(arguments);
  } catch (const CLI::RequiredError&) {
    // Unknown options come out here too, where a value they swallowed was the word that is missing.
    if (const auto extras = app_->remaining(); !extras.empty()) refuse_extras(extras);
    throw InputError(fmt::format("{} needs {}: muster {} {}", name_, fmt::join(required_, " and "), name_, usage_));
  } catch (const CLI::ExtrasError&) {
    refuse_extras(app_->remaining());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    throw InputError(
        fmt::format("{} needs a value; 'muster {} --help' says which", what.substr(0, what.find(':')), name_));
  } catch (const CLI::ParseError& error) {
    const std::string what = error.what();
    throw InputError(what.substr(0, what.find('\n')));
  }
  return true;
}

std::string OptionSet::help() const {
  std::string text = fmt::format("{}\n\nusage: muster {} {}\n", summary_, name_, usage_);
  std::string group;
  for (const HelpLine& line : lines_) {
    if (line.group != group) text += fmt::format("\n{}\n", group = line.group);
    std::string left = "  " + line.option;
    for (std::size_t at = 0; (at = left.find(",-", at)) != std::string::npos; at += 2) left.insert(at + 1, " ");
    text += left + wrapped(line.text, left.size());
  }
  return text;
}

}  // namespace muster::cli
