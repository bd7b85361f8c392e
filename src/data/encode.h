// Staged blocks to the matrix, once the encoding is agreed.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "data/columns.h"
#include "data/encoding.h"
#include "data/shard.h"
#include "data/staging.h"

namespace muster {

// Classes whose levels are spelled numbers, which are matched by value: (value, class), ascending. Empty for
// regression.
using ClassesByValue = std::vector<std::pair<double, double>>;
ClassesByValue classes_by_value(const Encoding& encoding);
std::vector<double> values_of_classes(const Encoding& encoding);
// The class of a value; null where there is none.
const double* find_class(const ClassesByValue& classes, double value);

// Where staged columns go.
struct Layout {
  struct Slot {
    std::size_t column = 0;  // in the plan
    std::size_t first = 0;   // its first feature
    int degree = 1;          // numbers: features first, first + 1, … are powers 1, 2, …
    bool text = false;
    std::vector<std::int32_t> level;  // text: staged code -> rank among the sorted levels; 0 is the reference
    std::optional<double> fill;       // numbers: what stands for a missing value
  };
  std::vector<Slot> slots;  // features, ascending in first
  std::size_t features = 0;
  std::vector<PowerFeature> powers;
  bool sparse = false;
  StorageChoice storage = StorageChoice::automatic;
  std::optional<std::size_t> target, weight, offset, fold;  // columns of the plan
  // Targets of classes: the class of each code, or of each value.
  std::vector<double> class_of_code;
  ClassesByValue class_of_value;
  std::vector<double> fold_of_code;
};

// plan: the columns as staged, in the order of encoding's features. levels[c] are the staged levels of column c.
Layout make_layout(const std::vector<ColumnPlan>& plan, const std::vector<const Levels*>& levels,
                   const Encoding& encoding, StorageChoice storage);

// Takes the blocks apart one by one, freeing each when it is done.
Shard build_shard(const Layout& layout, std::vector<StagedBlock> blocks);

// What the shard of so many rows takes, at most, with values of so many bytes.
double shard_bytes(const Layout& layout, std::size_t rows, std::size_t value_bytes);

// Whether rows are better kept sparse: less than a fifth of the entries are expected to be other than 0, by the numbers
// of levels alone.
bool expects_sparse(const Encoding& encoding);

}  // namespace muster
