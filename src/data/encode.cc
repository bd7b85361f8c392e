#include "data/encode.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "data/csv_text.h"

namespace muster {
namespace {

using Kind = StagedBlock::Kind;
constexpr std::size_t kTile = 64;  // rows written together, so that their lines of the matrix stay in cache

// Calls use(row, value) for rows [begin, end) of a column of numbers.
template <class Use>
void each_number(const StagedBlock& block, std::size_t column, std::size_t begin, std::size_t end,
                 const std::optional<double>& fill, Use use) {
  const StagedBlock::Column& from = block.columns[column];
  const auto each = [&](const auto* values) {
    for (std::size_t i = begin; i < end; ++i) {
      const double x = static_cast<double>(values[i]);
      use(i, fill && std::isnan(x) ? *fill : x);
    }
  };
  if (from.kind == Kind::float32) {
    each(block.pages.at<float>(from.offset));
  } else {
    each(block.pages.at<double>(from.offset));
  }
}

double number_at(const StagedBlock& block, const Layout::Slot& slot, std::size_t row) {
  double result = 0;
  each_number(block, slot.column, row, row + 1, slot.fill, [&](std::size_t, double x) { result = x; });
  return result;
}

std::int32_t level_at(const StagedBlock& block, const Layout::Slot& slot, std::size_t row) {
  const auto code = block.pages.at<std::int32_t>(block.columns[slot.column].offset)[row];
  return slot.level[static_cast<std::size_t>(code)];
}

std::size_t level_count(const Layout& layout, std::size_t slot) {
  const std::size_t next = slot + 1 < layout.slots.size() ? layout.slots[slot + 1].first : layout.features;
  return next - layout.slots[slot].first + 1;
}

bool is_float(double x) {
  return static_cast<double>(static_cast<float>(x)) == x;
}

// Whether every entry of this worker's matrix survives storage as float.
bool fits_float(const Layout& layout, const std::vector<StagedBlock>& blocks) {
  for (const Layout::Slot& slot : layout.slots) {
    if (slot.text) continue;
    for (const StagedBlock& block : blocks) {
      if (block.columns[slot.column].kind == Kind::float64) return false;
      if (!slot.fill && slot.degree == 1) continue;
      bool fits = true;
      each_number(block, slot.column, 0, block.rows, slot.fill, [&](std::size_t, double x) {
        double power = x;
        fits &= is_float(power);
        for (int k = 2; k <= slot.degree; ++k) fits &= is_float(power *= x);
      });
      if (!fits) return false;
    }
  }
  return true;
}

template <class T>
void write_tile(const Layout& layout, const StagedBlock& block, std::size_t begin, std::size_t end, T* out) {
  const std::size_t d = layout.features;
  for (std::size_t s = 0; s < layout.slots.size(); ++s) {
    const Layout::Slot& slot = layout.slots[s];
    T* column = out + slot.first;
    if (!slot.text) {
      each_number(block, slot.column, begin, end, slot.fill, [&](std::size_t row, double x) {
        T* to = column + (row - begin) * d;
        double power = x;
        *to = static_cast<T>(power);
        for (int k = 2; k <= slot.degree; ++k) *++to = static_cast<T>(power *= x);
      });
      continue;
    }
    const std::size_t features = level_count(layout, s) - 1;
    for (std::size_t row = begin; row < end; ++row) {
      T* to = column + (row - begin) * d;
      std::fill_n(to, features, T{0});
      const std::int32_t level = level_at(block, slot, row);
      if (level > 0) to[level - 1] = 1;
    }
  }
}

template <class T>
DenseMatrix build_dense(const Layout& layout, std::vector<StagedBlock>& blocks, std::size_t rows) {
  DenseMatrix matrix{rows, layout.features, AlignedVector<T>(0)};
  auto& values = std::get<RowArray<T>>(matrix.values);
  values.resize(rows * layout.features);
  T* out = values.data();
  for (StagedBlock& block : blocks) {
    for (std::size_t begin = 0; begin < block.rows; begin += kTile) {
      const std::size_t end = std::min(begin + kTile, block.rows);
      write_tile(layout, block, begin, end, out);
      out += (end - begin) * layout.features;
    }
    block.pages = Pages();
  }
  return matrix;
}

std::size_t count_entries(const Layout& layout, const std::vector<StagedBlock>& blocks) {
  std::size_t count = 0;
  for (const StagedBlock& block : blocks) {
    for (const Layout::Slot& slot : layout.slots) {
      if (slot.text) {
        for (std::size_t row = 0; row < block.rows; ++row) count += level_at(block, slot, row) > 0;
      } else {
        each_number(block, slot.column, 0, block.rows, slot.fill, [&](std::size_t, double x) { count += x != 0; });
      }
    }
  }
  return count;
}

template <class T>
SparseMatrix build_sparse(const Layout& layout, std::vector<StagedBlock>& blocks, std::size_t rows) {
  SparseMatrix matrix;
  matrix.rows = rows;
  matrix.cols = layout.features;
  auto& values = matrix.values.emplace<RowArray<T>>();
  const std::size_t entries = count_entries(layout, blocks);
  values.resize(entries);
  matrix.columns.resize(entries);
  matrix.row_begin.resize(rows + 1);
  std::size_t at = 0, i = 0;
  const auto put = [&](std::size_t column, double value) {
    matrix.columns[at] = static_cast<std::uint32_t>(column);
    values[at++] = static_cast<T>(value);
  };
  for (StagedBlock& block : blocks) {
    for (std::size_t row = 0; row < block.rows; ++row) {
      matrix.row_begin[i++] = at;
      for (const Layout::Slot& slot : layout.slots) {
        if (slot.text) {
          const std::int32_t level = level_at(block, slot, row);
          if (level > 0) put(slot.first + static_cast<std::size_t>(level) - 1, 1);
        } else if (const double x = number_at(block, slot, row); x != 0) {
          put(slot.first, x);
        }
      }
    }
    block.pages = Pages();
  }
  matrix.row_begin[rows] = at;
  return matrix;
}

AlignedVector<double> gather_numbers(const std::vector<StagedBlock>& blocks, std::size_t column, std::size_t rows) {
  AlignedVector<double> all(rows);
  double* to = all.data();
  for (const StagedBlock& block : blocks) {
    each_number(block, column, 0, block.rows, {}, [&](std::size_t, double x) { *to++ = x; });
  }
  return all;
}

// The place of each row's level, by its code.
AlignedVector<double> gather_places(const std::vector<StagedBlock>& blocks, std::size_t column, std::size_t rows,
                                    const std::vector<double>& place_of_code) {
  AlignedVector<double> places(rows);
  double* to = places.data();
  for (const StagedBlock& block : blocks) {
    if (block.rows == 0) continue;
    const auto* codes = block.pages.at<std::int32_t>(block.columns[column].offset);
    for (std::size_t i = 0; i < block.rows; ++i) *to++ = place_of_code[static_cast<std::size_t>(codes[i])];
  }
  return places;
}

// The place of each staged level in a list of all.
std::vector<double> places_in(const std::vector<std::string>& all, const Levels& staged) {
  std::unordered_map<std::string_view, double> place_of;
  for (std::size_t i = 0; i < all.size(); ++i) place_of.emplace(all[i], static_cast<double>(i));
  std::vector<double> places;
  for (const std::string& level : staged.names) places.push_back(place_of.at(level));
  return places;
}

AlignedVector<double> gather_targets(const Layout& layout, const std::vector<StagedBlock>& blocks, std::size_t rows) {
  if (!layout.class_of_code.empty()) return gather_places(blocks, *layout.target, rows, layout.class_of_code);
  AlignedVector<double> targets = gather_numbers(blocks, *layout.target, rows);
  if (!layout.class_of_value.empty()) {
    for (double& y : targets) y = *find_class(layout.class_of_value, y);
  }
  return targets;
}

const CategoricalColumn& categorical(const Encoding& encoding, const std::string& column) {
  const auto found = std::find_if(encoding.categoricals.begin(), encoding.categoricals.end(),
                                  [&](const CategoricalColumn& c) { return c.column == column; });
  MUSTER_CHECK(found != encoding.categoricals.end(), "a column of levels is in the encoding");
  return *found;
}

void lay_out_feature(const ColumnPlan& column, const Levels& staged, const Encoding& encoding, Layout& layout) {
  Layout::Slot& slot = layout.slots.back();
  slot.first = layout.features;
  slot.degree = column.degree;
  slot.text = column.type == ColumnPlan::Type::text;
  if (slot.text) {
    const std::vector<std::string>& sorted = categorical(encoding, column.name).levels;
    for (const std::string& level : staged.names) {
      slot.level.push_back(
          static_cast<std::int32_t>(std::lower_bound(sorted.begin(), sorted.end(), level) - sorted.begin()));
    }
    layout.features += sorted.empty() ? 0 : sorted.size() - 1;
    return;
  }
  for (int k = 2; k <= column.degree; ++k) {
    layout.powers.push_back({layout.features + static_cast<std::size_t>(k) - 1, layout.features, k});
  }
  layout.features += static_cast<std::size_t>(column.degree);
  const auto fill = encoding.fill.find(column.name);
  if (fill != encoding.fill.end()) slot.fill = fill->second;
}

}  // namespace

ClassesByValue classes_by_value(const Encoding& encoding) {
  ClassesByValue classes;
  for (std::size_t k = 0; k < encoding.classes.size(); ++k)
    classes.emplace_back(*as_number(encoding.classes[k]), static_cast<double>(k));
  std::sort(classes.begin(), classes.end());
  return classes;
}

std::vector<double> values_of_classes(const Encoding& encoding) {
  std::vector<double> values;
  for (const auto& [value, place] : classes_by_value(encoding)) values.push_back(value);
  return values;
}

const double* find_class(const ClassesByValue& classes, double value) {
  const auto at = std::lower_bound(classes.begin(), classes.end(), std::pair(value, 0.0));
  return at != classes.end() && at->first == value ? &at->second : nullptr;
}

bool expects_sparse(const Encoding& encoding) {
  constexpr double kDense = 0.2;
  double entries = 0;
  for (const Feature& feature : encoding.features) {
    if (feature.kind == Feature::Kind::power) return false;
    entries += feature.kind == Feature::Kind::numeric;
  }
  entries += static_cast<double>(encoding.categoricals.size());
  return entries < kDense * static_cast<double>(encoding.features.size());
}

Layout make_layout(const std::vector<ColumnPlan>& plan, const std::vector<const Levels*>& levels,
                   const Encoding& encoding, StorageChoice storage) {
  Layout layout;
  layout.storage = storage;
  layout.sparse = expects_sparse(encoding);
  for (std::size_t c = 0; c < plan.size(); ++c) {
    switch (plan[c].role) {
      case ColumnPlan::Role::feature:
        layout.slots.emplace_back().column = c;
        lay_out_feature(plan[c], *levels[c], encoding, layout);
        break;
      case ColumnPlan::Role::target:
        layout.target = c;
        if (plan[c].type == ColumnPlan::Type::text) {
          layout.class_of_code = places_in(encoding.classes, *levels[c]);
        } else {
          layout.class_of_value = classes_by_value(encoding);
        }
        break;
      case ColumnPlan::Role::weight:
        layout.weight = c;
        break;
      case ColumnPlan::Role::offset:
        layout.offset = c;
        break;
      case ColumnPlan::Role::fold:
        layout.fold = c;
        layout.fold_of_code = places_in(encoding.loaded_from.folds, *levels[c]);
        break;
    }
  }
  MUSTER_CHECK(layout.features == encoding.features.size(), "the layout has the encoding's features");
  return layout;
}

double shard_bytes(const Layout& layout, std::size_t rows, std::size_t value_bytes) {
  const std::size_t beside =
      layout.target.has_value() + layout.weight.has_value() + layout.offset.has_value() + layout.fold.has_value();
  std::size_t row = beside * sizeof(double);
  if (layout.sparse) {
    row += sizeof(std::uint64_t) + layout.slots.size() * (sizeof(std::uint32_t) + value_bytes);
  } else {
    row += layout.features * value_bytes;
  }
  return static_cast<double>(rows) * static_cast<double>(row);
}

Shard build_shard(const Layout& layout, std::vector<StagedBlock> blocks) {
  std::size_t rows = 0;
  for (const StagedBlock& block : blocks) rows += block.rows;
  Shard shard;
  if (layout.target) shard.targets = gather_targets(layout, blocks, rows);
  if (layout.weight) shard.weights = gather_numbers(blocks, *layout.weight, rows);
  if (layout.offset) shard.offsets = gather_numbers(blocks, *layout.offset, rows);
  if (layout.fold) shard.folds = gather_places(blocks, *layout.fold, rows, layout.fold_of_code);
  shard.powers = layout.powers;
  const bool single = layout.storage == StorageChoice::float32 ||
                      (layout.storage == StorageChoice::automatic && fits_float(layout, blocks));
  if (layout.sparse) {
    shard.matrix = single ? build_sparse<float>(layout, blocks, rows) : build_sparse<double>(layout, blocks, rows);
  } else {
    shard.matrix = single ? build_dense<float>(layout, blocks, rows) : build_dense<double>(layout, blocks, rows);
  }
  return shard;
}

}  // namespace muster
