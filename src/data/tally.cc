#include "data/tally.h"

#include <set>

namespace muster {

void pack(const std::vector<ReadStretch>& stretches, Packer& packer) {
  packer.number(stretches.size());
  for (const ReadStretch& one : stretches) {
    packer.text(one.file);
    packer.number(one.begin);
    packer.number(one.next);
  }
}

void unpack(Unpacker& from, std::vector<ReadStretch>& stretches) {
  for (std::uint64_t n = from.number(); n > 0; --n) {
    ReadStretch one{std::string(from.text())};
    one.begin = from.number();
    one.next = from.number();
    stretches.push_back(std::move(one));
  }
}

std::string pack(const Stager& stager, std::int64_t rows_counted, const std::vector<ReadStretch>& stretches,
                 std::size_t columns) {
  Packer packer;
  packer.number(static_cast<std::uint64_t>(rows_counted));
  packer.number(static_cast<std::uint64_t>(stager.rows_read()));
  packer.number(static_cast<std::uint64_t>(stager.rows_dropped()));
  for (std::size_t c = 0; c < columns; ++c) {
    packer.number(static_cast<std::uint64_t>(stager.missing_cells(c)));
    packer.number(static_cast<std::uint64_t>(stager.known_cells(c)));
    packer.real(stager.sum(c).high);
    packer.real(stager.sum(c).low);
    packer.number(stager.levels(c).names.size());
    for (const std::string& level : stager.levels(c).names) packer.text(level);
  }
  packer.number(stager.target_values().size());
  for (const double y : stager.target_values()) packer.real(y);
  pack(stretches, packer);
  return packer.take();
}

Tally merge(const std::vector<std::string>& all, std::size_t columns) {
  Tally tally;
  tally.missing.resize(columns);
  tally.known.resize(columns);
  tally.sum.resize(columns);
  std::vector<std::set<std::string>> levels(columns);
  std::set<double> values;
  const auto add = [](std::int64_t& to, Unpacker& from) { to += static_cast<std::int64_t>(from.number()); };
  for (const std::string& one : all) {
    Unpacker from(one);
    add(tally.rows_counted, from);
    add(tally.rows_read, from);
    add(tally.rows_dropped, from);
    for (std::size_t c = 0; c < columns; ++c) {
      add(tally.missing[c], from);
      add(tally.known[c], from);
      const double high = from.real();
      tally.sum[c] += DoubleDouble(high, from.real());
      for (std::uint64_t n = from.number(); n > 0; --n) levels[c].emplace(from.text());
    }
    for (std::uint64_t n = from.number(); n > 0; --n) values.insert(from.real());
    unpack(from, tally.stretches);
  }
  for (const auto& set : levels) tally.levels.emplace_back(set.begin(), set.end());
  tally.target_values.assign(values.begin(), values.end());
  return tally;
}

}  // namespace muster
