#include "data/libsvm_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "data/csv_text.h"
#include "data/number_text.h"
#include "data/word_ends.h"

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
    const bool in_range = error == std::errc();
    // At which end it is out of range, from_chars does not tell: infinite, or closer to 0 than the smallest double.
    if (!in_range) value = std::strtod(std::string(start, to).c_str(), nullptr);
    if (!std::isfinite(value))
      fail(at_, fmt::format("'{}' is {}", shown(token()), in_range ? "not finite" : "too large for a number"));
    return value;
  }

  double label() {
    if (end_ - at_ > kReadOfNumber + 1) {
      double value = 0;
      const char* to = read_plain_number(at_ + (*at_ == '+'), value);
      if (to != nullptr && token_ends(to)) {
        at_ = to;
        return value;
      }
    }
    const double value = number(at_, "a label (one number) followed by index:value pairs");
    at_ += token().size();
    return value;
  }

  void parse_row() {
    rows_.labels.push_back(label());
    if (at_token() && *at_ == 'q' && token().starts_with("qid:")) at_ += token().size();
    std::int64_t last = -1;
    while (at_token()) {
      parse_plain_pairs(last);
      if (at_token()) parse_pair(last);
    }
    rows_.row_begin.push_back(entries_);
  }

  // Pairs as nearly all are written, up to one that is for parse_pair() to say what it is.
  void parse_plain_pairs(std::int64_t& last) {
    if (at_ - begin_ < 8) return;
    while (found_ends()) {
      if (!parse_found_pairs(last)) return;
    }
  }

  // Whether the ends of two words or more, from at_ on, are known.
  bool found_ends() {
    while (next_end_ < ends_found_ && stretch_ + ends_[next_end_] < at_) ++next_end_;
    if (next_end_ + 2 <= ends_found_) return true;
    stretch_ = at_;
    next_end_ = ends_found_ = 0;
    for (std::uint32_t at = 0; at < kStretch && end_ - (stretch_ + at) >= kWordEnds; at += kWordEnds)
      ends_found_ += write_places(word_ends(stretch_ + at), at, &ends_[ends_found_]);
    return ends_found_ >= 2;
  }

  // Whether there may be more behind the words whose ends are known.
  bool parse_found_pairs(std::int64_t& last) {
    const char* at = at_;
    std::size_t entry = entries_;
    std::size_t end = next_end_;
    bool goes_on = true;
    for (; goes_on && end + 2 <= ends_found_; end += 2) {
      const char* colon = stretch_ + ends_[end];
      const char* to = stretch_ + ends_[end + 1];
      std::uint32_t index;
      double value;
      goes_on = is_blank(*to);
      if (*colon != ':' || !(goes_on || ends_line(*to)) || !read_short_index(at, colon, index) || index <= last ||
          index < lowest_ || index > highest_ || !read_short_number(colon + 1, to, value)) {
        goes_on = false;
        break;
      }
      rows_.indices[entry] = index;
      rows_.values[entry++] = value;
      last = index;
      at = to + goes_on;
    }
    at_ = at;
    entries_ = entry;
    next_end_ = end;
    return goes_on;
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
  // Offsets of words' ends in a stretch of text, ascending.
  static constexpr std::uint32_t kStretch = 4096;
  std::array<std::uint32_t, kStretch + kWordEnds> ends_;
  const char* stretch_ = nullptr;
  std::size_t ends_found_ = 0, next_end_ = 0;
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
