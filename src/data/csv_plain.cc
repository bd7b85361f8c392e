#include "data/csv_plain.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "data/csv_text.h"
#include "data/number_text.h"

namespace muster {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool breaks_line(char c) {
  return c == '\n' || c == '\r';
}

// The slow way; what from_chars calls out of range is Arrow's to judge, and so are names of infinities and NaN.
bool read_number(std::string_view cell, double& value) {
  while (!cell.empty() && is_blank(cell.front())) cell.remove_prefix(1);
  while (!cell.empty() && is_blank(cell.back())) cell.remove_suffix(1);
  const bool has_digits = std::any_of(cell.begin(), cell.end(), [](char c) { return c >= '0' && c <= '9'; });
  const auto [to, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return has_digits && error == std::errc() && to == cell.data() + cell.size();
}

}  // namespace

PlainCsv::PlainCsv(char delimiter, const std::vector<std::string>& names, const std::vector<WantedColumn>& wanted)
    : delimiter_(delimiter),
      wanted_(wanted.size()),
      only_numbers_(std::none_of(wanted.begin(), wanted.end(), [](const WantedColumn& w) { return w.text; })),
      place_(names.size(), kNotWanted),
      numbers_(names.size()) {
  for (std::size_t w = 0; w < wanted.size(); ++w) {
    const auto found = std::find(names.begin(), names.end(), wanted[w].name);
    if (found == names.end()) {
      only_numbers_ = false;
    } else {
      place_[static_cast<std::size_t>(found - names.begin())] = w;
    }
  }
}

bool PlainCsv::read(std::string_view text, std::size_t rows, TableBatch& batch) {
  if (!only_numbers_ || std::memchr(text.data(), '"', text.size()) != nullptr) return false;
  batch.rows = static_cast<std::int64_t>(rows);
  batch.columns.resize(wanted_);
  for (TableBatch::Column& column : batch.columns) column.numbers.resize(rows);
  for (std::size_t c = 0; c < place_.size(); ++c)
    numbers_[c] = place_[c] == kNotWanted ? nullptr : batch.columns[place_[c]].numbers.data();
  const char* at = text.data();
  const char* end = at + text.size();
  std::size_t row = 0;
  while (true) {
    while (at < end && breaks_line(*at)) ++at;
    if (at == end) return row == rows;
    if (row == rows) return false;
    at = read_row(at, end, row++);
    if (at == nullptr) return false;
  }
}

// The byte behind the row's last cell; null where the row is Arrow's.
const char* PlainCsv::read_row(const char* at, const char* end, std::size_t row) {
  for (std::size_t c = 0; c < numbers_.size(); ++c) {
    if (c > 0) {
      if (at == end || *at != delimiter_) return nullptr;
      ++at;
    }
    at = numbers_[c] != nullptr ? read_cell(at, end, numbers_[c][row]) : cell_end(at, end);
    if (at == nullptr) return nullptr;
  }
  return at == end || breaks_line(*at) ? at : nullptr;
}

const char* PlainCsv::read_cell(const char* at, const char* end, double& value) const {
  if (end - at >= kReadOfNumber) {
    const char* to = read_plain_number(at, value);
    if (to != nullptr && ends_cell(*to)) return to;
  }
  const char* to = cell_end(at, end);
  const std::string_view cell(at, static_cast<std::size_t>(to - at));
  if (is_missing(cell)) {
    value = std::numeric_limits<double>::quiet_NaN();
    return to;
  }
  return read_number(cell, value) ? to : nullptr;
}

const char* PlainCsv::cell_end(const char* at, const char* end) const {
  return std::find_if(at, end, [this](char c) { return ends_cell(c); });
}

}  // namespace muster
