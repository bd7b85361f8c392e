// load_part(): one worker's rows again, read by another.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "data/csv_slices.h"
#include "data/csv_text.h"
#include "data/encode.h"
#include "data/libsvm_blocks.h"
#include "data/load_internal.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

[[noreturn]] void throw_changed(const std::string& where, const std::string& what) {
  throw InputError(fmt::format("{}: {}: the data were changed after training began", where, what));
}

bool has_levels(const Encoding& encoding, const std::string& column) {
  return std::any_of(encoding.categoricals.begin(), encoding.categoricals.end(),
                     [&](const CategoricalColumn& c) { return c.column == column; });
}

// The plan of the load(), with the types agreed then.
std::vector<ColumnPlan> plan_again(const LoadRequest& request, const std::vector<std::string>& columns,
                                   const std::string& file, const Encoding& encoding) {
  std::vector<ColumnPlan> plan = plan_columns(columns, file, request);
  std::size_t features = 0;
  for (ColumnPlan& column : plan) {
    const bool text = column.role == Role::feature  ? has_levels(encoding, column.name)
                      : column.role == Role::target ? encoding.loaded_from.target_is_text
                                                    : false;
    column.type = text ? Type::text : Type::number;
    if (column.role != Role::feature || text) continue;
    const bool known = std::any_of(encoding.features.begin(), encoding.features.end(),
                                   [&](const Feature& f) { return f.column == column.name; });
    if (!known) throw_changed(file, fmt::format("column '{}' was not there before", shown(column.name)));
    features += static_cast<std::size_t>(column.degree);
  }
  for (const CategoricalColumn& c : encoding.categoricals) features += c.levels.empty() ? 0 : c.levels.size() - 1;
  if (features != encoding.features.size()) throw_changed(file, "not all columns are there that were");
  return plan;
}

void check_levels(const std::vector<ColumnPlan>& plan, const Stager& stager, const Encoding& encoding,
                  const std::string& file) {
  const auto refuse = [&](const ColumnPlan& column, const std::string& level) {
    throw_changed(file, fmt::format("column '{}' holds the level '{}', which it did not before", shown(column.name),
                                    shown(level)));
  };
  for (std::size_t c = 0; c < plan.size(); ++c) {
    std::vector<std::string> known = {encoding.negative_level, encoding.positive_level};
    if (plan[c].role == Role::feature && plan[c].type == Type::text) {
      known = std::find_if(encoding.categoricals.begin(), encoding.categoricals.end(), [&](const CategoricalColumn& k) {
                return k.column == plan[c].name;
              })->levels;
    }
    for (const std::string& level : stager.levels(c).names) {
      if (std::find(known.begin(), known.end(), level) == known.end()) refuse(plan[c], level);
    }
    if (plan[c].role != Role::target || encoding.positive_level.empty()) continue;
    for (const double y : stager.target_values()) {
      if (y != as_number(known[0]) && y != as_number(known[1])) refuse(plan[c], spell(y));
    }
  }
}

Shard load_table_part(const LoadRequest& request, const Inputs& inputs, const Parts& parts, std::size_t part,
                      const Encoding& encoding, const std::function<void()>& progress) {
  const Catalog& catalog = inputs.catalog;
  const std::string& file = catalog.files.front().path;
  std::vector<ColumnPlan> plan;
  std::unique_ptr<TableReader> reader;
  std::int64_t rows_scanned = 0;
  if (catalog.format == Format::parquet) {
    plan = plan_again(request, parquet_columns(catalog, inputs.info), file, encoding);
    reader = read_parquet(catalog.files, parts[part], wanted_columns(plan));
  } else {
    CsvPart own = find_slices_alone(catalog, parts, part, progress);
    plan = plan_again(request, own.columns, file, encoding);
    rows_scanned = own.rows_scanned;
    reader = read_csv(std::move(own.slices), wanted_columns(plan));
  }
  Stager stager(plan, {request.options.missing, request.options.storage, false});
  std::vector<StagedBlock> blocks;
  TableBatch batch;
  while (reader->next(batch)) {
    blocks.push_back(stager.stage(batch, [&](std::int64_t row) { return reader->where(row); }));
    progress();
  }
  check_row_count(rows_scanned + reader->rows_counted(), stager.rows_read());
  reader.reset();
  release_free_memory();  // before the matrix grows
  check_levels(plan, stager, encoding, file);
  std::vector<const Levels*> levels;
  for (std::size_t c = 0; c < plan.size(); ++c) levels.push_back(&stager.levels(c));
  return build_shard(make_layout(plan, levels, encoding, request.options.storage), std::move(blocks));
}

Shard load_libsvm_part(const LoadRequest& request, const Catalog& catalog, const std::vector<Piece>& pieces,
                       const Encoding& encoding, const std::function<void()>& progress) {
  const auto base = static_cast<std::uint32_t>(encoding.libsvm_base);
  const auto beyond = base + static_cast<std::uint32_t>(encoding.feature_count());
  const auto negative = as_number(encoding.negative_level), positive = as_number(encoding.positive_level);
  LibsvmReader reader(catalog, pieces, 0, kHighestLibsvmIndex);
  std::vector<StagedLibsvm> blocks;
  LibsvmRows rows;
  std::int64_t rows_read = 0;
  while (reader.next(rows)) {
    for (const std::uint32_t index : rows.indices) {
      if (index < base || index >= beyond) {
        throw_changed(catalog.files.front().path, fmt::format("index {} did not occur before", index));
      }
    }
    for (std::size_t i = 0; positive && i < rows.rows(); ++i) {
      if (rows.labels[i] == positive || rows.labels[i] == negative) continue;
      throw_changed(reader.where(i), fmt::format("the label {} did not occur before", spell(rows.labels[i])));
    }
    rows_read += static_cast<std::int64_t>(rows.rows());
    blocks.push_back(stage_libsvm(rows, request.options.storage));
    progress();
  }
  check_row_count(static_cast<std::int64_t>(reader.rows_counted()), rows_read);
  release_free_memory();  // before the matrix grows
  return build_libsvm_shard(encoding, std::move(blocks), request.options.storage);
}

}  // namespace

Shard load_part(const LoadRequest& request, const Encoding& encoding, int part, int parts,
                const std::function<void()>& progress) {
  MUSTER_CHECK(part >= 0 && part < parts, "a part that no worker had");
  const std::function<void()> tick = progress ? progress : [] {};
  const Inputs inputs = find_inputs(request);
  if (hash(fingerprint(inputs.catalog)) != encoding.loaded_from.files) {
    throw_changed(inputs.catalog.files.front().path, "the files are not the same, or not of the same sizes");
  }
  const Parts all = cut(inputs, parts);
  const auto index = static_cast<std::size_t>(part);
  if (inputs.catalog.format == Format::libsvm) {
    return load_libsvm_part(request, inputs.catalog, all[index], encoding, tick);
  }
  return load_table_part(request, inputs, all, index, encoding, tick);
}

}  // namespace muster
