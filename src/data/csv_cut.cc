#include "data/csv_cut.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace muster {
namespace {

enum Class : std::uint8_t { other, delimiter, quote, line_break };

bool breaks_line(char c) {
  return c == '\n' || c == '\r';
}

Class class_of(char c, Dialect dialect) {
  if (breaks_line(c)) return line_break;
  if (dialect.quotes && c == '"') return quote;
  return c == dialect.delimiter ? delimiter : other;
}

constexpr CutState kNext[kCutStates][4] = {
    // other, delimiter, quote, line_break
    {CutState::in_cell, CutState::cell_start, CutState::quoted, CutState::row_start},   // row_start
    {CutState::in_cell, CutState::cell_start, CutState::quoted, CutState::row_start},   // cell_start
    {CutState::in_cell, CutState::cell_start, CutState::in_cell, CutState::row_start},  // in_cell
    {CutState::quoted, CutState::quoted, CutState::quote_in_quoted, CutState::quoted},  // quoted
    {CutState::in_cell, CutState::cell_start, CutState::quoted, CutState::row_start}};  // quote_in_quoted

// Text without quotes, from outside quotes: only line breaks matter.
CutRun cut_unquoted(std::string_view text, std::uint64_t offset, Dialect dialect, CutState start) {
  CutRun run;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto note_row = [&](const char* row) {
    run.last_row = offset + static_cast<std::uint64_t>(row - begin);
    if (run.rows++ == 0) run.first_row = run.last_row;
  };
  if (start == CutState::row_start && !breaks_line(*begin)) note_row(begin);
  const bool returns = std::memchr(begin, '\r', text.size()) != nullptr;
  for (const char* at = begin;;) {
    at = returns ? std::find_if(at, end, breaks_line)
                 : static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    if (at == nullptr || end - at <= 1) break;
    if (!breaks_line(*++at)) note_row(at);
  }
  const Class last = class_of(text.back(), dialect);
  run.end = last == line_break ? CutState::row_start : last == delimiter ? CutState::cell_start : CutState::in_cell;
  return run;
}

CutRun cut_stepwise(std::string_view text, std::uint64_t offset, Dialect dialect, CutState start) {
  CutRun run;
  CutState state = start;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const Class c = class_of(text[i], dialect);
    if (state == CutState::row_start && c != line_break) {
      ++run.rows;
      run.last_row = offset + i;
      if (run.first_row == kNowhere) run.first_row = offset + i;
    }
    if (c == quote && (state == CutState::row_start || state == CutState::cell_start)) run.last_open = offset + i;
    state = kNext[static_cast<std::size_t>(state)][c];
  }
  run.end = state;
  return run;
}

CutRun cut_piece(std::string_view text, std::uint64_t offset, Dialect dialect, CutState start) {
  const bool plain = !dialect.quotes || std::memchr(text.data(), '"', text.size()) == nullptr;
  if (!plain) return cut_stepwise(text, offset, dialect, start);
  if (start != CutState::quoted) return cut_unquoted(text, offset, dialect, start);
  CutRun run;
  run.end = CutState::quoted;
  return run;
}

}  // namespace

CutRun then(const CutRun& first, const CutRun& second) {
  CutRun run = second;
  run.rows += first.rows;
  if (first.first_row != kNowhere) run.first_row = first.first_row;
  if (run.last_row == kNowhere) run.last_row = first.last_row;
  if (run.last_open == kNowhere) run.last_open = first.last_open;
  return run;
}

CutRun cut(std::string_view text, std::uint64_t offset, Dialect dialect, CutState start) {
  constexpr std::size_t kPiece = 4096;  // small enough that most hold no quote where quotes are rare
  CutRun run;
  run.end = start;
  for (std::size_t at = 0; at < text.size(); at += kPiece) {
    run = then(run, cut_piece(text.substr(at, kPiece), offset + at, dialect, run.end));
  }
  return run;
}

CutMap empty_cut() {
  CutMap map;
  for (std::size_t s = 0; s < kCutStates; ++s) map[s].end = static_cast<CutState>(s);
  return map;
}

void extend(CutMap& map, std::string_view text, std::uint64_t offset, Dialect dialect) {
  // Start states soon run into each other; each state still alive is followed once.
  std::array<std::optional<CutRun>, kCutStates> done;
  for (CutRun& run : map) {
    auto& next = done[static_cast<std::size_t>(run.end)];
    if (!next) next = cut(text, offset, dialect, run.end);
    run = then(run, *next);
  }
}

}  // namespace muster
