// Checks what a reader gives and keeps it, compactly and by column, until all workers have agreed on the encoding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/double_double.h"
#include "data/columns.h"
#include "data/pages.h"
#include "data/table_reader.h"

namespace muster {

struct StagedBlock {
  enum class Kind { float32, float64, code };
  struct Column {
    std::size_t offset = 0;  // in pages, bytes
    Kind kind = Kind::float64;
  };
  std::size_t rows = 0;
  std::vector<Column> columns;  // in the order of the plan
  Pages pages;
};

// Levels in the order they were first met; for prediction, those of the model and no others.
struct Levels {
  std::vector<std::string> names;
  std::unordered_map<std::string, std::int32_t> codes;
  bool fixed = false;
};

struct StagerRules {
  MissingPolicy missing = MissingPolicy::error;
  StorageChoice storage = StorageChoice::automatic;
  bool keeps_order = false;  // prediction: a row can not be dropped
  // Ends the sentence about a level that is not among the fixed ones.
  const char* unknown_level = ", which the model has not seen in training";
  std::size_t enough_target_values = 0;  // distinct targets to collect at most
};

// Whether storage as float loses nothing of them.
bool survives_float(std::span<const double> values);

class Stager {
 public:
  Stager(std::vector<ColumnPlan> plan, const StagerRules& rules);

  // For prediction: a column's levels, before the first block.
  void fix_levels(std::size_t column, const std::vector<std::string>& levels);

  // For evaluation: the values a target of numbers may have.
  void fix_target_values(std::vector<double> values);

  // `where` names the place of a row. Throws InputError for the first row that is refused: a missing value, an
  // infinity, a negative weight, an unknown level, a number among levels. Else counts the rows, and which to drop.
  void check(const TableBatch& batch, const std::function<std::string(std::int64_t)>& where);
  // Likewise, and keeps them.
  StagedBlock stage(const TableBatch& batch, const std::function<std::string(std::int64_t)>& where);

  std::int64_t rows_read() const { return rows_read_; }
  std::int64_t rows_dropped() const { return rows_dropped_; }

  // By column of the plan.
  const Levels& levels(std::size_t column) const { return columns_[column].levels; }
  std::int64_t missing_cells(std::size_t column) const { return columns_[column].missing; }
  std::int64_t known_cells(std::size_t column) const { return columns_[column].known; }
  DoubleDouble sum(std::size_t column) const {
    return columns_[column].sum;
  }  // of known cells: weights, and features under policy mean
  // Distinct values met in a target of numbers, ascending, at most StagerRules::enough_target_values.
  const std::vector<double>& target_values() const { return target_values_; }

 private:
  struct ColumnState {
    Levels levels;
    std::int64_t missing = 0, known = 0;
    DoubleDouble sum;
  };
  struct Refusal {
    std::int64_t row;
    std::string reason;
  };

  void check_numbers(std::size_t c, const TableBatch::Column& cells);
  void check_target(std::size_t c, const TableBatch::Column& cells);
  void check_codes(std::size_t c, const TableBatch::Column& cells);
  void on_missing(std::size_t c, std::int64_t row);
  void refuse(std::int64_t row, const std::string& reason);
  void translate(std::size_t c, const TableBatch::Column& cells);
  void keep_numbers(std::size_t c, const TableBatch::Column& cells, StagedBlock& block);
  void note_statistics(std::size_t c, const double* values, std::size_t rows);

  std::vector<ColumnPlan> plan_;
  StagerRules rules_;
  std::vector<ColumnState> columns_;
  std::vector<double> target_values_, allowed_targets_;  // ascending
  std::int64_t rows_read_ = 0, rows_dropped_ = 0, dropped_here_ = 0;
  PageArena arena_;
  // Of the batch at hand.
  std::vector<char> dropped_;
  bool any_dropped_ = false;
  std::optional<Refusal> refusal_;
  std::vector<double> kept_;
  std::vector<std::vector<std::int32_t>> codes_;
  std::vector<std::int32_t> translated_;
};

}  // namespace muster
