#include "data/libsvm_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "data/csv_text.h"
#include "data/number_text.h"

namespace muster {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool ends_line(char c) {
  return c == '\n' || c == '\r';
}

class Parser {
 public:
  Parser(std::string_view text, std::uint32_t lowest, std::uint32_t highest, LibsvmRows& rows)
      : begin_(text.data()),
        at_(text.data()),
        end_(text.data() + text.size()),
        lowest_(lowest),
        highest_(highest),
        rows_(rows) {
    constexpr std::size_t kShortestPair = 4;  // with the blank before it
    rows_.indices.resize(text.size() / kShortestPair + 1);
    rows_.values.resize(rows_.indices.size());
  }

  void parse() {
    while (true) {
      while (at_ < end_ && (is_blank(*at_) || ends_line(*at_))) ++at_;
      if (at_ == end_) break;
      if (*at_ != '#') parse_row();
      while (at_ < end_ && !ends_line(*at_)) ++at_;  // the rest is a comment
    }
    rows_.indices.resize(entries_);
    rows_.values.resize(entries_);
  }

 private:
  [[noreturn]] void fail(const char* at, const std::string& what) const {
    throw LibsvmError(static_cast<std::size_t>(at - begin_), what);
  }

  bool at_token() {
    while (at_ < end_ && is_blank(*at_)) ++at_;
    return at_ < end_ && !ends_line(*at_) && *at_ != '#';
  }

  std::string_view token() const {
    const char* to = at_;
    while (to < end_ && !is_blank(*to) && !ends_line(*to) && *to != '#') ++to;
    return {at_, static_cast<std::size_t>(to - at_)};
  }

  bool token_ends(const char* at) const { return at == end_ || is_blank(*at) || ends_line(*at) || *at == '#'; }

  // A number that ends where the token does.
  double number(const char* from, const char* what) const {
    double value = 0;
    const char* start = from < end_ && *from == '+' ? from + 1 : from;
    const auto [to, error] = std::from_chars(start, end_, value);
    if (error == std::errc::invalid_argument || !token_ends(to)) {
      fail(at_, fmt::format("'{}' is not {}", shown(token()), what));
    }
    if (error != std::errc() && !std::isfinite(value))
      fail(at_, fmt::format("'{}' is too large for a number", shown(token())));
    if (error != std::errc()) value = 0;  // closer to 0 than the smallest double
    if (!std::isfinite(value)) fail(at_, fmt::format("'{}' is not finite", shown(token())));
    return value;
  }

  void parse_row() {
    rows_.labels.push_back(number(at_, "a label (one number) followed by index:value pairs"));
    at_ += token().size();
    if (at_token() && token().starts_with("qid:")) at_ += token().size();
    std::int64_t last = -1;
    while (at_token()) {
      parse_plain_pairs(last);
      if (at_token()) parse_pair(last);
    }
    rows_.row_begin.push_back(entries_);
  }

  // Pairs as nearly all are written, up to one that is for parse_pair() to say what it is.
  void parse_plain_pairs(std::int64_t& last) {
    constexpr int kMostDigits = 7;
    const char* at = at_;
    std::size_t entry = entries_;
    while (end_ - at > 8 + kReadOfNumber) {
      const LeadingDigits index = leading_digits(at);
      const auto place = static_cast<std::int64_t>(index.value);
      if (index.count == 0 || index.count > kMostDigits || at[index.count] != ':') break;
      if (place <= last || place < lowest_ || place > highest_) break;
      double value;
      const char* to = read_plain_number(at + index.count + 1, value);
      if (to == nullptr || !token_ends(to)) break;
      rows_.indices[entry] = static_cast<std::uint32_t>(place);
      rows_.values[entry++] = value;
      last = place;
      at = to + is_blank(*to);
    }
    at_ = at;
    entries_ = entry;
  }

  void parse_pair(std::int64_t& last) {
    std::uint32_t index = 0;
    const auto [colon, error] = std::from_chars(at_, end_, index);
    if (error == std::errc::result_out_of_range || (error == std::errc() && index > highest_)) {
      fail(at_, fmt::format("the index of '{}' is beyond {}", shown(token()), highest_));
    }
    if (error != std::errc() || colon == end_ || *colon != ':') {
      fail(at_, fmt::format("'{}' is not an index:value pair", shown(token())));
    }
    if (index < lowest_) fail(at_, fmt::format("index {} in a file whose first index is {}", index, lowest_));
    if (static_cast<std::int64_t>(index) <= last) {
      fail(at_, index == last ? fmt::format("index {} stands twice in this line", index)
                              : fmt::format("index {} after {}: indices must ascend", index, last));
    }
    const double value = number(colon + 1, "an index:value pair");
    rows_.indices[entries_] = index;
    rows_.values[entries_++] = value;
    last = index;
    at_ += token().size();
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  std::uint32_t lowest_, highest_;
  LibsvmRows& rows_;
  std::size_t entries_ = 0;
};

// Calls use(line) for every line, without its break.
template <class Use>
void each_line(std::string_view text, Use use) {
  const char* at = text.data();
  const char* end = at + text.size();
  const bool returns = std::memchr(at, '\r', text.size()) != nullptr;
  while (at < end) {
    const char* to = returns ? std::find_if(at, end, ends_line)
                             : static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    if (to == nullptr) to = end;
    use(std::string_view(at, static_cast<std::size_t>(to - at)));
    at = to + 1;
  }
}

}  // namespace

void parse_libsvm(std::string_view text, std::uint32_t lowest, std::uint32_t highest, LibsvmRows& rows) {
  rows.labels.clear();
  rows.row_begin.assign(1, 0);
  Parser(text, lowest, highest, rows).parse();
}

std::uint64_t count_libsvm_rows(std::string_view text) {
  std::uint64_t count = 0;
  each_line(text, [&](std::string_view line) {
    const std::size_t first = line.find_first_not_of(" \t");
    count += first != std::string_view::npos && line[first] != '#';
  });
  return count;
}

}  // namespace muster
