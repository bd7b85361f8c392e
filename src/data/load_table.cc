// load() of CSV and Parquet: columns and types are agreed, rows staged, levels and means agreed, the matrix built.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "data/agree.h"
#include "data/csv_slices.h"
#include "data/csv_text.h"
#include "data/encode.h"
#include "data/load_internal.h"
#include "data/part_reader.h"
#include "data/row_claim.h"
#include "data/tally.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

std::vector<std::string> names_of(const std::vector<ColumnPlan>& plan, bool unknown_only) {
  std::vector<std::string> names;
  for (const ColumnPlan& column : plan) {
    if (!unknown_only || column.type == Type::unknown) names.push_back(column.name);
  }
  return names;
}

// Collective: every worker's counts, added.
std::vector<CellCounts> add_counts(Peers& peers, const std::function<std::vector<CellCounts>()>& local) {
  const auto all = gather_or_throw(peers, [&] {
    Packer packer;
    for (const CellCounts& count : local()) {
      packer.number(static_cast<std::uint64_t>(count.numbers));
      packer.number(static_cast<std::uint64_t>(count.texts));
    }
    return packer.take();
  });
  std::vector<CellCounts> sum(all.front().size() / (2 * sizeof(std::uint64_t)));
  for (const std::string& one : all) {
    Unpacker from(one);
    for (CellCounts& count : sum) {
      count.numbers += static_cast<std::int64_t>(from.number());
      count.texts += static_cast<std::int64_t>(from.number());
    }
  }
  return sum;
}

// The first block of every worker decides. A column of which none has seen a cell is looked for further, by all.
void agree_csv_types(std::vector<ColumnPlan>& plan, const LoadRequest& request, const CsvPart& part, Peers& peers) {
  const auto progress = [&] { peers.progress(); };
  decide_types(plan, request.target,
               add_counts(peers, [&] { return sample_csv(part.slices, names_of(plan, false), false, progress); }));
  const std::vector<std::string> unknown = names_of(plan, true);
  if (unknown.empty()) return;
  const auto found = add_counts(peers, [&] { return sample_csv(part.slices, unknown, true, progress); });
  std::vector<CellCounts> counts(plan.size());
  for (std::size_t c = 0, u = 0; c < plan.size(); ++c) {
    if (plan[c].type == Type::unknown) counts[c] = found[u++];
  }
  decide_types(plan, request.target, counts);
  settle_unseen(plan);
}

// From the footers of all files, which every worker has.
void agree_parquet_types(std::vector<ColumnPlan>& plan, const LoadRequest& request, const Catalog& catalog,
                         const std::vector<ParquetInfo>& info) {
  std::vector<CellCounts> counts(plan.size());
  for (std::size_t c = 0; c < plan.size(); ++c) {
    const auto in = [&](std::size_t f) -> const ParquetColumn& {
      return *std::find_if(info[f].columns.begin(), info[f].columns.end(),
                           [&](const ParquetColumn& p) { return p.name == plan[c].name; });
    };
    for (std::size_t f = 0; f < info.size(); ++f) {
      const ParquetColumn& column = in(f);
      if (column.kind == ParquetColumn::Kind::other) {
        throw InputError(
            fmt::format("{}: column '{}' is of type {}, which is neither numbers nor text; --drop {} leaves it out",
                        catalog.files[f].path, shown(column.name), column.type, shown(column.name)));
      }
      if (column.kind != in(0).kind) {
        throw InputError(fmt::format("{}: column '{}' is of type {}, but in {} it is {}", catalog.files[f].path,
                                     shown(column.name), column.type, catalog.files[0].path, in(0).type));
      }
    }
    ++(in(0).kind == ParquetColumn::Kind::number ? counts[c].numbers : counts[c].texts);
  }
  decide_types(plan, request.target, counts);
  for (std::size_t c = 0; c < plan.size(); ++c) {
    if (plan[c].type != Type::number || counts[c].numbers > 0) continue;
    throw InputError(fmt::format("{}: column '{}' holds text where {} must be numbers", catalog.files[0].path,
                                 shown(plan[c].name),
                                 plan[c].role == Role::target   ? "a target"
                                 : plan[c].role == Role::weight ? "weights"
                                                                : "offsets"));
  }
}

void encode_feature(const ColumnPlan& column, const std::vector<std::string>& levels, Encoding& encoding) {
  using Kind = Feature::Kind;
  if (column.type == Type::text) {
    encoding.categoricals.push_back({column.name, levels});
    for (std::size_t i = 1; i < levels.size(); ++i) {
      encoding.features.push_back({column.name + "=" + levels[i], column.name, Kind::level, levels[i], 1});
    }
    return;
  }
  encoding.features.push_back({column.name, column.name, Kind::numeric, "", 1});
  for (int k = 2; k <= column.degree; ++k) {
    encoding.features.push_back({fmt::format("{}^{}", column.name, k), column.name, Kind::power, "", k});
  }
}

void encode_target(const ColumnPlan& column, const LoadRequest& request, const Tally& tally, std::size_t c,
                   Dataset& data) {
  data.encoding.target = column.name;
  data.encoding.loaded_from.target_is_text = column.type == Type::text;
  if (request.target == TargetKind::real) return;
  const bool numeric = column.type == Type::number;
  std::vector<std::string> levels = tally.levels[c];
  if (numeric) {
    for (const double y : tally.target_values) levels.push_back(spell(y));
  }
  TargetClasses chosen =
      choose_classes(fmt::format("the target '{}'", shown(column.name)), std::move(levels), numeric, request);
  data.encoding.classes = std::move(chosen.classes);
  data.summary.notes.push_back(std::move(chosen.note));
}

// The same on every worker, so what it throws is thrown by all.
void encode(const LoadRequest& request, const std::vector<ColumnPlan>& plan, const Tally& tally, Dataset& data) {
  constexpr std::size_t kManyLevels = 10'000;
  Encoding& encoding = data.encoding;
  encoding.missing = request.options.missing;
  for (std::size_t c = 0; c < plan.size(); ++c) {
    const ColumnPlan& column = plan[c];
    if (column.role == Role::weight) encoding.weight = column.name;
    if (column.role == Role::offset) encoding.offset = column.name;
    if (column.role == Role::fold) {
      encoding.loaded_from.folds = tally.levels[c];
      if (tally.levels[c].size() == 1)
        throw InputError(
            fmt::format("every row has the label '{}' in the fold column '{}', and held-out rows need "
                        "others beside them: choose another --fold-column, or --folds",
                        shown(tally.levels[c][0]), shown(column.name)));
    }
    if (column.role == Role::target) encode_target(column, request, tally, c, data);
    if (column.role != Role::feature) continue;
    encode_feature(column, tally.levels[c], encoding);
    if (tally.levels[c].size() > kManyLevels) {
      data.summary.notes.push_back(
          fmt::format("column '{}' has {} levels; if it names rows rather than groups, --drop {} leaves it out",
                      shown(column.name), tally.levels[c].size(), shown(column.name)));
    }
    if (column.type != Type::number || request.options.missing != MissingPolicy::mean) continue;
    if (tally.known[c] == 0)
      throw InputError(fmt::format("column '{}' has no value to take a mean of; --drop {} leaves it out",
                                   shown(column.name), shown(column.name)));
    encoding.fill[column.name] = static_cast<double>(tally.sum[c] / DoubleDouble(static_cast<double>(tally.known[c])));
    data.summary.cells_filled += tally.missing[c];
  }
}

struct Staged {
  Stager stager;
  RowClaim claim;
  std::vector<StagedBlock> blocks;
  bool wide = false;  // some feature's cells are not floats
};

Tally read_rows(TableReader& reader, std::int64_t rows_scanned, const std::vector<ColumnPlan>& plan, Staged& staged,
                ProgressMeter& meter, Peers& peers) {
  const auto all = gather_or_throw(peers, [&] {
    TableBatch batch;
    while (reader.next(batch)) {
      StagedBlock block = staged.stager.stage(batch, [&](std::int64_t row) { return reader.where(row); });
      for (std::size_t c = 0; c < plan.size(); ++c)
        staged.wide |= plan[c].role == Role::feature && block.columns[c].kind == StagedBlock::Kind::float64;
      if (staged.claim.add(static_cast<double>(block.pages.size()))) {
        staged.blocks.push_back(std::move(block));
      } else {
        staged.blocks.clear();
      }
      meter.at(reader.bytes_read(), staged.stager.rows_read());
      peers.progress();
    }
    meter.finish(staged.stager.rows_read());
    return pack(staged.stager, rows_scanned + reader.rows_counted(), reader.stretches(), plan.size());
  });
  return merge(all, plan.size());
}

}  // namespace

std::vector<std::string> parquet_columns(const Catalog& catalog, const std::vector<ParquetInfo>& info) {
  const auto names = [&](std::size_t f) {
    std::vector<std::string> all;
    for (const ParquetColumn& column : info[f].columns) all.push_back(column.name);
    return all;
  };
  for (std::size_t f = 1; f < info.size(); ++f)
    check_same_columns(catalog.files[0], names(0), catalog.files[f], names(f));
  return names(0);
}

namespace {

// The same on every worker.
void check_rows(const ReadCounts& counts, const std::string& file) {
  check_row_count(counts.rows_in_files, counts.rows_read);
  if (counts.rows_read == 0) throw InputError(fmt::format("{}: there are no rows below the header", file));
  if (counts.rows_dropped == counts.rows_read)
    throw InputError(fmt::format("{}: every row has a missing value, so --missing drop leaves none", file));
}

void check_weights(const Encoding& encoding, double sum) {
  if (encoding.weight.empty() || sum > 0) return;
  throw InputError(fmt::format("every weight in column '{}' is 0", shown(encoding.weight)));
}

void take_counts(const ReadCounts& counts, LoadSummary& summary) {
  summary.rows_in_files = counts.rows_in_files;
  summary.rows_read = counts.rows_read;
  summary.rows_dropped = counts.rows_dropped;
}

double sum_of_weights(const std::vector<ColumnPlan>& plan, const Tally& tally) {
  for (std::size_t c = 0; c < plan.size(); ++c) {
    if (plan[c].role == Role::weight) return tally.sum[c].high;
  }
  return 0;
}

// Whether the encoding follows from the columns alone.
bool known_without_rows(const LoadRequest& request, const std::vector<ColumnPlan>& plan) {
  std::size_t features = 0;
  for (const ColumnPlan& column : plan) {
    if (column.type != Type::number || column.role == Role::offset) return false;
    if (column.role == Role::feature) features += static_cast<std::size_t>(column.degree);
  }
  const bool target_as_written =
      request.target == TargetKind::real || (request.target == TargetKind::binary && request.labels_as_written);
  return features <= request.unread_features && target_as_written && request.options.missing != MissingPolicy::mean;
}

}  // namespace

void count_rows(const ReadCounts& own, double weight, Peers& peers, Dataset& data) {
  Packer packer;
  for (const std::int64_t n : {own.rows_in_files, own.rows_read, own.rows_dropped})
    packer.number(static_cast<std::uint64_t>(n));
  packer.real(weight);
  pack(own.stretches, packer);
  ReadCounts all;
  double weights = 0;
  for (const std::string& one : peers.all_gather(packer.take())) {
    Unpacker from(one);
    const auto number = [&] { return static_cast<std::int64_t>(from.number()); };
    ReadCounts counts;
    counts.rows_in_files = number();
    counts.rows_read = number();
    counts.rows_dropped = number();
    weights += from.real();
    unpack(from, counts.stretches);
    all.add(counts);
  }
  if (data.unread->guessed && !stretches_meet(all.stretches)) throw WrongGuess();
  check_rows(all, data.unread->catalog.files[0].path);
  check_weights(data.encoding, weights);
  take_counts(all, data.summary);
}

namespace {

// may_guess: where rows of CSV begin.
PartPlan plan_part(const LoadRequest& request, const Catalog& catalog, const Parts& parts,
                   const std::vector<ParquetInfo>& info, bool may_guess, Peers& peers) {
  const std::string& file = catalog.files[0].path;
  PartPlan part{catalog, parts[static_cast<std::size_t>(peers.rank())], nullptr, {}, {}, 0};
  std::vector<ColumnPlan>& plan = part.columns;
  if (catalog.format == Format::parquet) {
    plan = plan_columns(parquet_columns(catalog, info), file, request);
    agree_parquet_types(plan, request, catalog, info);
  } else {
    CsvPart own = find_slices(catalog, parts, may_guess, peers);
    plan = plan_columns(own.columns, file, request);
    part.guessed = own.guessed;
    unless_guessed(part.guessed, [&] { agree_csv_types(plan, request, own, peers); });
    part.slices = std::move(own.slices);
    part.rows_scanned = own.rows_scanned;
  }
  check_polynomials(plan);
  return part;
}

Dataset load_part_of_table(const LoadRequest& request, PartPlan part, Peers& peers, const ProgressCallback& progress) {
  const Catalog& catalog = part.catalog;
  const std::string& file = catalog.files[0].path;
  const std::vector<ColumnPlan>& plan = part.columns;

  Dataset data;
  data.encoding.format = catalog.format;
  if (known_without_rows(request, plan)) {
    LoadRequest as_written = request;
    as_written.target = TargetKind::real;
    encode(as_written, plan, merge({}, plan.size()), data);
    note_unsplittable(catalog, reader_count(request, peers.size()), data.summary.notes);
    const Levels none;
    const std::vector<const Levels*> levels(plan.size(), &none);
    data.shard = build_shard(make_layout(plan, levels, data.encoding, request.options.storage), {});
    data.streamed = true;
    data.unread = std::make_shared<const PartPlan>(std::move(part));
    return data;
  }
  std::unique_ptr<TableReader> reader = catalog.format == Format::parquet
                                            ? read_parquet(catalog.files, part.pieces, wanted_columns(plan))
                                            : read_csv(std::move(part.slices), wanted_columns(plan));
  Staged staged{Stager(plan, {.missing = request.options.missing,
                              .storage = request.options.storage,
                              .enough_target_values = enough_levels(request.target)}),
                RowClaim(request.budget),
                {}};
  ProgressMeter meter(progress, catalog, part.pieces);
  const Tally tally =
      unless_guessed(part.guessed, [&] { return read_rows(*reader, part.rows_scanned, plan, staged, meter, peers); });
  if (part.guessed && !stretches_meet(tally.stretches)) throw WrongGuess();
  reader.reset();
  release_free_memory();  // before the matrix grows
  const ReadCounts counts{tally.rows_counted, tally.rows_read, tally.rows_dropped};
  check_rows(counts, file);
  encode(request, plan, tally, data);
  check_weights(data.encoding, sum_of_weights(plan, tally));
  take_counts(counts, data.summary);
  note_unsplittable(catalog, reader_count(request, peers.size()), data.summary.notes);
  std::vector<const Levels*> levels;
  for (std::size_t c = 0; c < plan.size(); ++c) levels.push_back(&staged.stager.levels(c));
  const Layout layout = make_layout(plan, levels, data.encoding, request.options.storage);
  const bool wide = staged.wide || !data.encoding.fill.empty() || !layout.powers.empty();
  const bool single = request.options.storage == StorageChoice::float32 || !wide;
  const auto rows = static_cast<std::size_t>(staged.stager.rows_read() - staged.stager.rows_dropped());
  if (!agree_to_hold(staged.claim, shard_bytes(layout, rows, single ? sizeof(float) : sizeof(double)), peers, data))
    staged.blocks.clear();
  data.shard = build_shard(layout, std::move(staged.blocks));
  return data;
}

}  // namespace

Dataset load_table(const LoadRequest& request, const Catalog& catalog, const Parts& parts,
                   const std::vector<ParquetInfo>& info, Peers& peers, const ProgressCallback& progress) {
  const auto load = [&](bool may_guess) {
    return load_part_of_table(request, plan_part(request, catalog, parts, info, may_guess, peers), peers, progress);
  };
  if (request.unread_features == 0 || request.guess_unread) {
    try {
      return load(true);
    } catch (const WrongGuess&) {
    }
  }
  return load(false);
}

}  // namespace muster
