#include "data/csv_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace muster {
namespace {

bool breaks_line(char c) {
  return c == '\n' || c == '\r';
}

std::string_view trimmed(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) cell.remove_suffix(1);
  return cell;
}

// Reads the quoted part of a cell from just behind its opening quote; false where the text ends first.
bool read_quoted(std::string_view text, std::size_t& at, std::string& cell) {
  while (at < text.size()) {
    const char c = text[at++];
    if (c != '"') {
      cell += c;
    } else if (at < text.size() && text[at] == '"') {
      cell += text[at++];
    } else {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<CsvRow> next_row(std::string_view text, std::size_t at, Dialect dialect) {
  while (at < text.size() && breaks_line(text[at])) ++at;
  if (at == text.size()) return std::nullopt;
  CsvRow row;
  row.begin = at;
  while (true) {
    std::string& cell = row.cells.emplace_back();
    if (dialect.quotes && at < text.size() && text[at] == '"') {
      row.open_quote = at++;
      if (!read_quoted(text, at, cell)) {
        row.unterminated = true;
        break;
      }
    }
    while (at < text.size() && text[at] != dialect.delimiter && !breaks_line(text[at])) cell += text[at++];
    if (at == text.size() || breaks_line(text[at])) break;
    ++at;
  }
  if (at < text.size()) at += text.substr(at, 2) == "\r\n" ? 2 : 1;
  row.end = at;
  return row;
}

std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    lines += text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
  }
  return lines;
}

char guess_delimiter(std::string_view header) {
  constexpr std::array<char, 4> candidates = {',', ';', '\t', '|'};
  std::array<std::size_t, 4> counts{};
  bool quoted = false;
  for (const char c : header) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    for (std::size_t i = 0; i < candidates.size(); ++i) counts[i] += c == candidates[i];
  }
  return candidates[static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin())];
}

bool is_missing(std::string_view cell) {
  static constexpr std::array<std::string_view, 17> spellings = {
      "",        "#N/A", "#N/A N/A", "#NA",  "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
      "1.#QNAN", "N/A",  "NA",       "NULL", "NaN",     "n/a",      "nan",  "null"};
  return std::find(spellings.begin(), spellings.end(), cell) != spellings.end();
}

std::optional<double> as_number(std::string_view cell) {
  cell = trimmed(cell);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc::invalid_argument || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  while (i < text.size()) {
    const std::uint8_t b = byte(i);
    const std::size_t more = b < 0x80 ? 0 : b >= 0xC2 && b < 0xE0 ? 1 : b >= 0xE0 && b < 0xF0 ? 2 : 3;
    if (more == 3 && (b < 0xF0 || b > 0xF4)) return false;
    if (i + more >= text.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    if (more >= 2) {  // overlong forms, surrogates, beyond U+10FFFF
      const std::uint8_t second = byte(i + 1);
      if ((b == 0xE0 && second < 0xA0) || (b == 0xED && second > 0x9F)) return false;
      if ((b == 0xF0 && second < 0x90) || (b == 0xF4 && second > 0x8F)) return false;
    }
    i += more + 1;
  }
  return true;
}

std::string shown(std::string_view cell) {
  constexpr std::size_t kLongest = 40;
  std::string result;
  std::size_t size = std::min(cell.size(), kLongest);
  while (size > 0 && size < cell.size() && (static_cast<std::uint8_t>(cell[size]) & 0xC0) == 0x80) --size;
  for (const char c : cell.substr(0, size)) result += static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F ? '?' : c;
  if (!is_utf8(result)) {
    for (char& c : result) c = static_cast<std::uint8_t>(c) < 0x80 ? c : '?';
  }
  return size < cell.size() ? result + "…" : result;
}

}  // namespace muster
