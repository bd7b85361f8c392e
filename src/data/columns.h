// What each column of a table is for, and whether it holds numbers or levels.
#pragma once

#include <string>
#include <vector>

#include "data/load.h"
#include "data/table_reader.h"

namespace muster {

struct ColumnPlan {
  enum class Role { feature, target, weight, offset, fold };
  enum class Type { unknown, number, text };
  std::string name;
  Role role = Role::feature;
  bool categorical = false;  // levels, whatever the cells look like: asked for by name, or the folds
  int degree = 1;            // features: powers up to this
  Type type = Type::unknown;
};

// The columns to read, of those a table has: features in the table's order, then target, weight, offset, fold. Types
// are yet unknown. Throws InputError: a name or pattern without a column, the target among the features, no feature
// left.
std::vector<ColumnPlan> plan_columns(const std::vector<std::string>& table, const std::string& file,
                                     const LoadRequest& request);

// Decides the types that are unknown and of which cells were seen: as most of the cells are; the others will be refused
// when read. counts in the order of plan.
void decide_types(std::vector<ColumnPlan>& plan, TargetKind target, const std::vector<CellCounts>& counts);

// For columns of which no cell was seen; roles that must be numbers are numbers. Afterwards every type is known.
void settle_unseen(std::vector<ColumnPlan>& plan);

// Throws InputError: powers of a column of levels.
void check_polynomials(const std::vector<ColumnPlan>& plan);

std::vector<WantedColumn> wanted_columns(const std::vector<ColumnPlan>& plan);

// " (did you mean 'price'?)", or nothing where no name is near.
std::string suggestion(const std::string& name, const std::vector<std::string>& names);

}  // namespace muster
