// stream(): rows for an existing model, one reader, in order, bounded.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "data/csv_reader.h"
#include "data/csv_text.h"
#include "data/direct_entries.h"
#include "data/encode.h"
#include "data/libsvm_blocks.h"
#include "data/load.h"
#include "data/load_internal.h"
#include "data/parquet_reader.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

bool numeric_levels(const Encoding& encoding) {
  return std::all_of(encoding.classes.begin(), encoding.classes.end(),
                     [](const std::string& level) { return as_number(level).has_value(); });
}

// The columns the encoding needs, in the order of its features.
std::vector<ColumnPlan> plan_of(const Encoding& encoding, bool want_target) {
  std::vector<ColumnPlan> plan;
  // A column whose only level is the reference has no feature, yet its cells must be that level.
  const auto add_categorical = [&](const CategoricalColumn& c) {
    plan.push_back({c.column, Role::feature, true, 1, Type::text});
  };
  std::size_t next_categorical = 0;
  for (const Feature& feature : encoding.features) {
    if (feature.kind == Feature::Kind::power) {
      plan.back().degree = feature.degree;
    } else if (feature.kind == Feature::Kind::numeric) {
      plan.push_back({feature.column, Role::feature, false, 1, Type::number});
    } else if (plan.empty() || plan.back().name != feature.column) {
      while (next_categorical < encoding.categoricals.size()) {
        const CategoricalColumn& c = encoding.categoricals[next_categorical++];
        add_categorical(c);
        if (c.column == feature.column) break;
      }
    }
  }
  while (next_categorical < encoding.categoricals.size()) add_categorical(encoding.categoricals[next_categorical++]);
  if (want_target) {
    const bool text = !numeric_levels(encoding);
    plan.push_back({encoding.target, Role::target, text, 1, text ? Type::text : Type::number});
    if (!encoding.weight.empty()) plan.push_back({encoding.weight, Role::weight, false, 1, Type::number});
  }
  if (!encoding.offset.empty()) plan.push_back({encoding.offset, Role::offset, false, 1, Type::number});
  return plan;
}

Stager stager_for(const std::vector<ColumnPlan>& plan, const Encoding& encoding) {
  Stager stager(plan, {.missing = encoding.missing, .storage = StorageChoice::float64, .keeps_order = true});
  for (std::size_t c = 0; c < plan.size(); ++c) {
    if (plan[c].role == Role::feature && plan[c].type == Type::text) {
      for (const CategoricalColumn& known : encoding.categoricals) {
        if (known.column == plan[c].name) stager.fix_levels(c, known.levels);
      }
    }
    if (plan[c].role != Role::target) continue;
    if (plan[c].type == Type::text) {
      stager.fix_levels(c, encoding.classes);
    } else {
      stager.fix_target_values(values_of_classes(encoding));
    }
  }
  return stager;
}

void require_columns(const std::vector<ColumnPlan>& plan, const std::vector<std::string>& names,
                     const InputFile& file) {
  for (const ColumnPlan& column : plan) {
    if (std::find(names.begin(), names.end(), column.name) != names.end()) continue;
    const char* what = column.role == Role::target   ? "target "
                       : column.role == Role::weight ? "weight "
                       : column.role == Role::offset ? "offset "
                                                     : "";
    throw InputError(fmt::format("{}: lacks the {}column '{}' that the model needs{}", file.path, what,
                                 shown(column.name), suggestion(column.name, names)));
  }
}

std::vector<WantedColumn> wanted_of(const std::vector<ColumnPlan>& plan) {
  std::vector<WantedColumn> wanted = wanted_columns(plan);
  for (WantedColumn& column : wanted) column.not_number = ", as it was in training";
  return wanted;
}

std::unique_ptr<TableReader> open_csv(const Catalog& catalog, const std::vector<ColumnPlan>& plan) {
  std::vector<CsvSlice> slices;
  for (const InputFile& file : catalog.files) {
    CsvHeader header = read_csv_header(file);
    require_columns(plan, header.names, file);
    const std::uint64_t begin = header.data_begin;
    slices.push_back({file, std::move(header), begin, std::numeric_limits<std::uint64_t>::max(), false});
  }
  return read_csv(std::move(slices), wanted_of(plan), std::size_t{1} << 20);
}

std::unique_ptr<TableReader> open_parquet_files(const Catalog& catalog, const std::vector<ColumnPlan>& plan) {
  std::vector<Piece> pieces;
  for (std::size_t f = 0; f < catalog.files.size(); ++f) {
    const ParquetInfo info = inspect_parquet(catalog.files[f]);
    std::vector<std::string> names;
    for (const ParquetColumn& column : info.columns) names.push_back(column.name);
    require_columns(plan, names, catalog.files[f]);
    for (const ParquetColumn& column : info.columns) {
      const bool needed =
          std::any_of(plan.begin(), plan.end(), [&](const ColumnPlan& p) { return p.name == column.name; });
      if (!needed || column.kind != ParquetColumn::Kind::other) continue;
      throw InputError(fmt::format("{}: column '{}' is of type {}, which is neither numbers nor text",
                                   catalog.files[f].path, shown(column.name), column.type));
    }
    if (!info.group_rows.empty()) pieces.push_back({f, 0, info.group_rows.size()});
  }
  return read_parquet(catalog.files, std::move(pieces), wanted_of(plan));
}

LoadSummary stream_table(const Catalog& catalog, const Encoding& encoding, bool want_target,
                         const std::function<void(const Shard&)>& use) {
  const std::vector<ColumnPlan> plan = plan_of(encoding, want_target);
  Stager stager = stager_for(plan, encoding);
  std::vector<const Levels*> levels;
  for (std::size_t c = 0; c < plan.size(); ++c) levels.push_back(&stager.levels(c));
  const Layout layout = make_layout(plan, levels, encoding, StorageChoice::float64);
  const auto reader = catalog.format == Format::parquet ? open_parquet_files(catalog, plan) : open_csv(catalog, plan);
  LoadSummary summary;
  TableBatch batch;
  while (reader->next(batch)) {
    std::vector<StagedBlock> blocks;
    blocks.push_back(stager.stage(batch, [&](std::int64_t row) { return reader->where(row); }));
    use(build_shard(layout, std::move(blocks)));
  }
  summary.rows_read = stager.rows_read();
  summary.rows_in_files = reader->rows_counted();
  for (std::size_t c = 0; c < plan.size(); ++c) {
    if (plan[c].role == Role::feature && plan[c].type == Type::number) summary.cells_filled += stager.missing_cells(c);
  }
  return summary;
}

LoadSummary stream_libsvm(const Catalog& catalog, const Encoding& encoding, bool want_target,
                          const std::function<void(const Shard&)>& use) {
  const auto base = static_cast<std::uint32_t>(encoding.libsvm_base);
  std::vector<Piece> pieces;
  for (std::size_t f = 0; f < catalog.files.size(); ++f) pieces.push_back({f, 0, catalog.files[f].bytes});
  const std::uint32_t highest = base + static_cast<std::uint32_t>(encoding.feature_count()) - 1;
  LibsvmReader reader(catalog, std::move(pieces), base, highest, std::size_t{1} << 20);
  const ClassesByValue classes = classes_by_value(encoding);
  LoadSummary summary;
  LibsvmRows rows;
  DirectEntries entries(StorageChoice::float64, encoding.libsvm_base);
  while (reader.next(rows)) {
    for (std::size_t i = 0; want_target && !classes.empty() && i < rows.rows(); ++i) {
      if (find_class(classes, rows.labels[i]) != nullptr) continue;
      throw InputError(fmt::format("{}: the label {} is none of those that the model was trained on", reader.where(i),
                                   rows.labels[i]));
    }
    summary.rows_read += static_cast<std::int64_t>(rows.rows());
    entries.add(rows);
    Shard shard = entries.take(encoding, entries.rows());
    if (!want_target) shard.targets = {};
    use(shard);
  }
  summary.rows_in_files = static_cast<std::int64_t>(reader.rows_counted());
  return summary;
}

}  // namespace

LoadSummary stream(const StreamRequest& request, const Encoding& encoding,
                   const std::function<void(const Shard&)>& block) {
  const Catalog catalog = discover(request.paths, request.format);
  const bool libsvm = catalog.format == Format::libsvm;
  if (libsvm != (encoding.format == Format::libsvm)) {
    throw InputError(fmt::format("{}: the model was trained on {}, and this is {}", catalog.files[0].path,
                                 libsvm ? "named columns" : "a LIBSVM file", libsvm ? "a LIBSVM file" : "a table"));
  }
  LoadSummary summary = libsvm ? stream_libsvm(catalog, encoding, request.want_target, block)
                               : stream_table(catalog, encoding, request.want_target, block);
  check_row_count(summary.rows_in_files, summary.rows_read);
  if (summary.rows_read == 0) throw InputError(fmt::format("{}: there are no rows", catalog.files[0].path));
  return summary;
}

}  // namespace muster
