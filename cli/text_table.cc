#include "text_table.h"

#include <algorithm>
#include <string_view>

namespace muster::cli {
namespace {

// Characters, not bytes, of UTF-8: close enough to columns to align names in most languages.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - width(row[c]), ' ');
      if (c == 0) {
        text += row[c];
        if (row.size() > 1) text += space;
      } else {
        text += "  " + space + row[c];
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace muster::cli
