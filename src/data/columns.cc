#include "data/columns.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Edit distance (Levenshtein), letters of either case alike.
std::size_t distance(const std::string& a, const std::string& b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

void require_column(const std::vector<std::string>& table, const std::string& file, const char* what,
                    const std::string& name) {
  if (contains(table, name)) return;
  throw InputError(fmt::format("{}: there is no {} column '{}'{}", file, what, shown(name), suggestion(name, table)));
}

// The table's columns that the patterns name. A name is taken as it is before it is taken as a glob.
std::set<std::string> expand(const std::vector<std::string>& patterns, const std::vector<std::string>& table,
                             const std::string& file, const char* option) {
  std::set<std::string> found;
  for (const std::string& pattern : patterns) {
    if (contains(table, pattern)) {
      found.insert(pattern);
      continue;
    }
    const std::size_t before = found.size();
    bool any = false;
    for (const std::string& name : table) {
      if (fnmatch(pattern.c_str(), name.c_str(), 0) != 0) continue;
      any = true;
      found.insert(name);
    }
    if (!any && found.size() == before) {
      throw InputError(
          fmt::format("{}: no column matches '{}' of {}{}", file, shown(pattern), option, suggestion(pattern, table)));
    }
  }
  return found;
}

struct Used {
  std::string name;
  Role role;
  const char* what;
};

std::vector<Used> used_columns(const std::vector<std::string>& table, const std::string& file,
                               const LoadRequest& request) {
  const DataOptions& options = request.options;
  if (options.target.empty()) throw InputError("no target column given; say which with --target NAME");
  std::vector<Used> used = {{options.target, Role::target, "target"}};
  if (!options.weight.empty()) used.push_back({options.weight, Role::weight, "weight"});
  if (!options.offset.empty()) used.push_back({options.offset, Role::offset, "offset"});
  if (!request.fold_column.empty()) used.push_back({request.fold_column, Role::fold, "fold"});
  for (std::size_t i = 0; i < used.size(); ++i) {
    require_column(table, file, used[i].what, used[i].name);
    for (std::size_t j = 0; j < i; ++j) {
      if (used[i].name != used[j].name) continue;
      throw InputError(
          fmt::format("the column '{}' is asked for as {} and as {}", shown(used[i].name), used[j].what, used[i].what));
    }
    if (contains(options.features, used[i].name)) {
      throw InputError(
          fmt::format("the {} column '{}' is among the features of --features", used[i].what, shown(used[i].name)));
    }
    if (contains(options.drop, used[i].name)) {
      throw InputError(
          fmt::format("the {} column '{}' is among the columns of --drop", used[i].what, shown(used[i].name)));
    }
  }
  return used;
}

}  // namespace

std::string suggestion(const std::string& name, const std::vector<std::string>& names) {
  std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : names) {
    const std::size_t d = distance(name, candidate);
    if (d < best && d < std::max(name.size(), candidate.size())) {
      best = d;
      nearest = &candidate;
    }
  }
  return nearest ? fmt::format(" (did you mean '{}'?)", shown(*nearest)) : "";
}

std::vector<ColumnPlan> plan_columns(const std::vector<std::string>& table, const std::string& file,
                                     const LoadRequest& request) {
  const DataOptions& options = request.options;
  const std::vector<Used> used = used_columns(table, file, request);
  const auto wanted = expand(options.features, table, file, "--features");
  const auto dropped = expand(options.drop, table, file, "--drop");
  const auto categorical = expand(options.categorical, table, file, "--categorical");
  std::vector<ColumnPlan> plan;
  for (const std::string& name : table) {
    const bool is_used = std::any_of(used.begin(), used.end(), [&](const Used& u) { return u.name == name; });
    if (is_used || dropped.contains(name) || (!options.features.empty() && !wanted.contains(name))) continue;
    plan.push_back({name, Role::feature, categorical.contains(name), 1, Type::unknown});
  }
  if (plan.empty()) throw InputError(fmt::format("{}: no feature column is left", file));
  for (const auto& [name, degree] : options.polynomials) {
    require_column(table, file, "--poly", name);
    if (degree < 2) throw InputError(fmt::format("--poly {}:{}: the degree must be at least 2", shown(name), degree));
    const auto column =
        std::find_if(plan.begin(), plan.end(), [&name = name](const ColumnPlan& c) { return c.name == name; });
    if (column == plan.end())
      throw InputError(fmt::format("--poly {}:{}: the column is not among the features", shown(name), degree));
    column->degree = degree;
  }
  for (const Used& u : used)
    plan.push_back({u.name, u.role, u.role == Role::fold || (u.role == Role::target && categorical.contains(u.name)), 1,
                    Type::unknown});
  return plan;
}

void decide_types(std::vector<ColumnPlan>& plan, TargetKind target, const std::vector<CellCounts>& counts) {
  for (std::size_t c = 0; c < plan.size(); ++c) {
    ColumnPlan& column = plan[c];
    if (column.type != Type::unknown) continue;
    const bool may_be_text = column.role == Role::feature || column.role == Role::fold ||
                             (column.role == Role::target && target != TargetKind::real);
    if (!may_be_text) {
      column.type = Type::number;
    } else if (column.categorical) {
      column.type = Type::text;
    } else if (counts[c].numbers + counts[c].texts > 0) {
      column.type = counts[c].texts > counts[c].numbers ? Type::text : Type::number;
    }
    // One cell that is no number makes a target of levels: that there are too many of them says more than "not a
    // number".
    if (column.role == Role::target && may_be_text && counts[c].texts > 0) column.type = Type::text;
  }
}

void settle_unseen(std::vector<ColumnPlan>& plan) {
  for (ColumnPlan& column : plan) {
    if (column.type == Type::unknown) column.type = Type::number;
  }
}

void check_polynomials(const std::vector<ColumnPlan>& plan) {
  for (const ColumnPlan& column : plan) {
    if (column.degree == 1 || column.type == Type::number) continue;
    throw InputError(
        fmt::format("--poly {}:{}: the column holds levels, which have no powers", shown(column.name), column.degree));
  }
}

std::vector<WantedColumn> wanted_columns(const std::vector<ColumnPlan>& plan) {
  std::vector<WantedColumn> wanted;
  for (const ColumnPlan& column : plan) {
    WantedColumn want{column.name, column.type == Type::text, ""};
    if (column.role == Role::feature) {
      want.not_number =
          fmt::format(", as its other cells are; --categorical {} makes its cells levels", shown(column.name));
    } else {
      want.not_number = column.role == Role::target   ? ", as a target must be"
                        : column.role == Role::weight ? ", as a weight must be"
                                                      : ", as an offset must be";
    }
    wanted.push_back(std::move(want));
  }
  return wanted;
}

}  // namespace muster
