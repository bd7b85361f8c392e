#include "data/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

bool all_finite(const std::vector<double>& values) {
  double sum = 0;
  for (const double x : values) sum += x - x;  // 0, or NaN for NaN and infinities
  return sum == 0;
}

}  // namespace

bool survives_float(std::span<const double> values) {
  bool survives = true;
  for (const double x : values) survives &= static_cast<double>(static_cast<float>(x)) == x || x != x;
  return survives;
}

Stager::Stager(std::vector<ColumnPlan> plan, const StagerRules& rules)
    : plan_(std::move(plan)), rules_(rules), columns_(plan_.size()), codes_(plan_.size()) {}

void Stager::fix_levels(std::size_t column, const std::vector<std::string>& levels) {
  Levels& own = columns_[column].levels;
  own.names = levels;
  own.fixed = true;
  for (std::size_t i = 0; i < levels.size(); ++i) own.codes.emplace(levels[i], static_cast<std::int32_t>(i));
}

void Stager::fix_target_values(std::vector<double> values) {
  allowed_targets_ = std::move(values);
  std::sort(allowed_targets_.begin(), allowed_targets_.end());
}

void Stager::refuse(std::int64_t row, const std::string& reason) {
  if (!refusal_ || row < refusal_->row) refusal_ = {row, reason};
}

void Stager::on_missing(std::size_t c, std::int64_t row) {
  const ColumnPlan& column = plan_[c];
  if (rules_.missing == MissingPolicy::drop && !rules_.keeps_order) {
    dropped_[static_cast<std::size_t>(row)] = 1;
    any_dropped_ = true;
  } else if (rules_.missing == MissingPolicy::mean && column.role == Role::feature && column.type == Type::number) {
    return;
  } else if (refusal_ && refusal_->row <= row) {
    return;
  } else if (rules_.keeps_order) {
    refuse(row, fmt::format("column '{}' has a missing value here, which this model can not fill{}", shown(column.name),
                            rules_.missing == MissingPolicy::drop
                                ? " (its training dropped such rows; predictions keep every row)"
                                : ""));
  } else if (rules_.missing == MissingPolicy::mean) {
    refuse(row, fmt::format("column '{}' has a missing value here, and {} has no mean to fill it with; --missing drop "
                            "leaves such rows out",
                            shown(column.name),
                            column.role == Role::feature ? "a column of levels" : "it is no feature, so it"));
  } else {
    refuse(row, fmt::format("column '{}' has a missing value here; --missing drop leaves such rows out, --missing mean "
                            "fills in the column's mean",
                            shown(column.name)));
  }
}

void Stager::check_numbers(std::size_t c, const TableBatch::Column& cells) {
  const ColumnPlan& column = plan_[c];
  if (!all_finite(cells.numbers)) {
    for (std::size_t i = 0; i < cells.numbers.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      if (std::isnan(cells.numbers[i])) on_missing(c, row);
      if (std::isinf(cells.numbers[i])) refuse(row, fmt::format("column '{}' holds an infinity", shown(column.name)));
    }
  }
  if (column.role == Role::target && !allowed_targets_.empty()) check_target(c, cells);
  if (column.role != Role::weight) return;
  for (std::size_t i = 0; i < cells.numbers.size(); ++i) {
    if (cells.numbers[i] < 0) {
      refuse(static_cast<std::int64_t>(i),
             fmt::format("the weight in column '{}' is negative ({})", shown(column.name), cells.numbers[i]));
      return;
    }
  }
}

void Stager::check_target(std::size_t c, const TableBatch::Column& cells) {
  for (std::size_t i = 0; i < cells.numbers.size(); ++i) {
    const double y = cells.numbers[i];
    if (std::isnan(y) || std::binary_search(allowed_targets_.begin(), allowed_targets_.end(), y)) continue;
    refuse(static_cast<std::int64_t>(i),
           fmt::format("column '{}' holds the level '{}'{}", shown(plan_[c].name), y, rules_.unknown_level));
    return;
  }
}

void Stager::check_codes(std::size_t c, const TableBatch::Column& cells) {
  for (std::size_t i = 0; i < cells.codes.size(); ++i) {
    if (cells.codes[i] < 0) on_missing(c, static_cast<std::int64_t>(i));
  }
}

// The batch's codes to this worker's. A level is taken up when a row that is kept has it.
void Stager::translate(std::size_t c, const TableBatch::Column& cells) {
  const ColumnPlan& column = plan_[c];
  Levels& levels = columns_[c].levels;
  translated_.assign(cells.levels.size(), -1);
  std::vector<std::int32_t>& codes = codes_[c];
  codes.clear();
  for (std::size_t i = 0; i < cells.codes.size(); ++i) {
    if (any_dropped_ && dropped_[i]) continue;
    if (cells.codes[i] < 0) continue;  // refused already
    std::int32_t& code = translated_[static_cast<std::size_t>(cells.codes[i])];
    if (code < 0) {
      const std::string& name = cells.levels[static_cast<std::size_t>(cells.codes[i])];
      const auto known = levels.codes.find(name);
      if (known != levels.codes.end()) {
        code = known->second;
      } else if (levels.fixed) {
        refuse(static_cast<std::int64_t>(i), fmt::format("column '{}' holds the level '{}'{}", shown(column.name),
                                                         shown(name), rules_.unknown_level));
        return;
      } else if (!column.categorical && column.role == Role::feature && as_number(name)) {
        refuse(static_cast<std::int64_t>(i), fmt::format("column '{}' holds the number '{}' though other cells of it "
                                                         "are not numbers; --categorical {} makes its cells levels",
                                                         shown(column.name), shown(name), shown(column.name)));
        return;
      } else {
        code = static_cast<std::int32_t>(levels.names.size());
        levels.names.push_back(name);
        levels.codes.emplace(name, code);
      }
    }
    codes.push_back(code);
  }
}

void Stager::note_statistics(std::size_t c, const double* values, std::size_t rows) {
  const ColumnPlan& column = plan_[c];
  if (column.role == Role::target) {
    for (std::size_t i = 0; i < rows && target_values_.size() < rules_.enough_target_values; ++i) {
      const auto place = std::lower_bound(target_values_.begin(), target_values_.end(), values[i]);
      if (place == target_values_.end() || *place != values[i]) target_values_.insert(place, values[i]);
    }
  }
  const bool for_mean = rules_.missing == MissingPolicy::mean && column.role == Role::feature;
  if (!for_mean && column.role != Role::weight) return;
  ColumnState& state = columns_[c];
  for (std::size_t i = 0; i < rows; ++i) {
    if (std::isnan(values[i])) {
      ++state.missing;
    } else {
      ++state.known;
      state.sum += values[i];
    }
  }
}

void Stager::keep_numbers(std::size_t c, const TableBatch::Column& cells, StagedBlock& block) {
  const double* values = cells.numbers.data();
  if (any_dropped_) {
    kept_.clear();
    for (std::size_t i = 0; i < cells.numbers.size(); ++i) {
      if (!dropped_[i]) kept_.push_back(cells.numbers[i]);
    }
    values = kept_.data();
  }
  note_statistics(c, values, block.rows);
  StagedBlock::Column& column = block.columns[c];
  if (column.kind == StagedBlock::Kind::float32) {
    float* to = block.pages.at<float>(column.offset);
    for (std::size_t i = 0; i < block.rows; ++i) to[i] = static_cast<float>(values[i]);
  } else if (block.rows > 0) {
    std::memcpy(block.pages.at<double>(column.offset), values, block.rows * sizeof(double));
  }
}

void Stager::check(const TableBatch& batch, const std::function<std::string(std::int64_t)>& where) {
  dropped_.assign(static_cast<std::size_t>(batch.rows), 0);
  any_dropped_ = false;
  refusal_.reset();
  for (std::size_t c = 0; c < plan_.size(); ++c) {
    if (plan_[c].type == Type::text) {
      check_codes(c, batch.columns[c]);
    } else {
      check_numbers(c, batch.columns[c]);
    }
  }
  for (std::size_t c = 0; c < plan_.size(); ++c) {
    if (plan_[c].type == Type::text) translate(c, batch.columns[c]);
  }
  if (refusal_) throw InputError(where(refusal_->row) + ": " + refusal_->reason);

  dropped_here_ = any_dropped_ ? std::count(dropped_.begin(), dropped_.end(), 1) : 0;
  rows_read_ += batch.rows;
  rows_dropped_ += dropped_here_;
}

StagedBlock Stager::stage(const TableBatch& batch, const std::function<std::string(std::int64_t)>& where) {
  check(batch, where);
  StagedBlock block;
  block.rows = static_cast<std::size_t>(batch.rows - dropped_here_);
  std::size_t bytes = 0;
  for (std::size_t c = 0; c < plan_.size(); ++c) {
    using Kind = StagedBlock::Kind;
    const std::vector<double>& numbers = batch.columns[c].numbers;
    const bool rounded =
        rules_.storage == StorageChoice::float32 && plan_[c].role == Role::feature && plan_[c].degree == 1;
    const bool exact = rules_.storage == StorageChoice::float64 ? false : survives_float(numbers);
    const Kind kind = plan_[c].type == Type::text ? Kind::code : rounded || exact ? Kind::float32 : Kind::float64;
    block.columns.push_back({bytes, kind});
    const std::size_t size = block.rows * (kind == Kind::float64 ? sizeof(double) : sizeof(float));
    bytes += (size + 63) / 64 * 64;
  }
  block.pages = arena_.take(bytes);
  for (std::size_t c = 0; c < plan_.size(); ++c) {
    if (plan_[c].type != Type::text) {
      keep_numbers(c, batch.columns[c], block);
    } else if (block.rows > 0) {
      std::memcpy(block.pages.at<std::int32_t>(block.columns[c].offset), codes_[c].data(),
                  block.rows * sizeof(std::int32_t));
    }
  }
  return block;
}

}  // namespace muster
