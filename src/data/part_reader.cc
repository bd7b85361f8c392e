#include "data/part_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "data/csv_text.h"
#include "data/direct_entries.h"
#include "data/direct_rows.h"
#include "data/encode.h"
#include "data/libsvm_blocks.h"
#include "data/row_cache.h"
#include "muster/error.h"

namespace muster {
namespace {

using Role = ColumnPlan::Role;
using Type = ColumnPlan::Type;

constexpr std::size_t kTableBlock = std::size_t{2} << 20;  // of CSV
constexpr const char* kBefore = ", which it did not before: the data were changed after training began";

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
                                                    : column.role == Role::fold;
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

Stager stager_again(const std::vector<ColumnPlan>& plan, const DataOptions& options, const Encoding& encoding) {
  Stager stager(plan, {.missing = options.missing, .storage = options.storage, .unknown_level = kBefore});
  for (std::size_t c = 0; c < plan.size(); ++c) {
    if (plan[c].role == Role::feature && plan[c].type == Type::text) {
      stager.fix_levels(
          c, std::find_if(encoding.categoricals.begin(), encoding.categoricals.end(), [&](const CategoricalColumn& k) {
               return k.column == plan[c].name;
             })->levels);
    }
    if (plan[c].role == Role::fold) stager.fix_levels(c, encoding.loaded_from.folds);
    if (plan[c].role != Role::target || encoding.classes.empty()) continue;
    if (plan[c].type == Type::text) {
      stager.fix_levels(c, encoding.classes);
    } else {
      stager.fix_target_values(values_of_classes(encoding));
    }
  }
  return stager;
}

class TablePart final : public PartReader {
 public:
  TablePart(const std::vector<ColumnPlan>& plan, std::unique_ptr<TableReader> reader, std::int64_t rows_scanned,
            const DataOptions& options, const Encoding& encoding, std::size_t align)
      : reader_(std::move(reader)),
        rows_scanned_(rows_scanned),
        align_(align),
        stager_(stager_again(plan, options, encoding)) {
    std::vector<const Levels*> levels;
    for (std::size_t c = 0; c < plan.size(); ++c) levels.push_back(&stager_.levels(c));
    layout_ = make_layout(plan, levels, encoding, options.storage);
    if (align > 0 && DirectRows::suffice(layout_, options.missing)) direct_.emplace(layout_);
  }

  bool stage() override {
    if (!reader_) return false;
    if (reader_->next(batch_)) {
      const auto where = [&](std::int64_t row) { return reader_->where(row); };
      if (direct_) {
        stager_.check(batch_, where);
        direct_->add(batch_);
      } else {
        blocks_.push_back(stager_.stage(batch_, where));
      }
      return true;
    }
    rows_scanned_ += reader_->rows_counted();
    stretches_ = reader_->stretches();
    check_row_count(rows_scanned_, stager_.rows_read());
    reader_.reset();
    batch_ = {};
    release_free_memory();  // before the matrix grows
    return false;
  }
  double staged_bytes() const override {
    std::size_t rows = direct_ ? direct_->rows() : 0;
    for (const StagedBlock& block : blocks_) rows += block.rows;
    return shard_bytes(layout_, rows, sizeof(double));
  }
  Shard take() override {
    if (!direct_) return build_shard(layout_, std::exchange(blocks_, {}));
    const std::size_t whole = reader_ ? direct_->rows() / align_ * align_ : 0;
    return direct_->take(whole > 0 ? whole : direct_->rows());
  }
  ReadCounts counts() const override {
    return {rows_scanned_, stager_.rows_read(), stager_.rows_dropped(), stretches_};
  }

 private:
  std::unique_ptr<TableReader> reader_;
  std::int64_t rows_scanned_;           // at the end: counted
  std::vector<ReadStretch> stretches_;  // at the end
  std::size_t align_;
  Stager stager_;
  Layout layout_;
  TableBatch batch_;
  std::optional<DirectRows> direct_;
  std::vector<StagedBlock> blocks_;  // where that does not suffice
};

class LibsvmPart final : public PartReader {
 public:
  LibsvmPart(const Catalog& catalog, const std::vector<Piece>& pieces, std::size_t block_bytes, StorageChoice storage,
             const Encoding& encoding, std::size_t align)
      : encoding_(encoding),
        align_(align),
        reader_(std::in_place, catalog, pieces, 0, kHighestLibsvmIndex, block_bytes),
        entries_(storage, encoding.libsvm_base) {}

  bool stage() override {
    if (!reader_) return false;
    if (reader_->next(rows_)) {
      check_indices();
      check_labels();
      rows_read_ += static_cast<std::int64_t>(rows_.rows());
      entries_.add(rows_);
      return true;
    }
    check_row_count(static_cast<std::int64_t>(reader_->rows_counted()), rows_read_);
    reader_.reset();
    rows_ = {};
    release_free_memory();  // before the matrix grows
    return false;
  }
  double staged_bytes() const override { return entries_.bytes(); }
  Shard take() override {
    const std::size_t whole = reader_ && align_ > 0 ? entries_.rows() / align_ * align_ : 0;
    return entries_.take(encoding_, whole > 0 ? whole : entries_.rows());
  }
  ReadCounts counts() const override { return {rows_read_, rows_read_, 0}; }

 private:
  void check_indices() const {
    const auto base = static_cast<std::uint32_t>(encoding_.libsvm_base);
    const auto beyond = base + static_cast<std::uint32_t>(encoding_.feature_count());
    for (std::size_t i = 0; i < rows_.rows(); ++i) {
      for (std::size_t k = rows_.row_begin[i]; k < rows_.row_begin[i + 1]; ++k) {
        const std::uint32_t index = rows_.indices[k];
        if (index < base || index >= beyond)
          throw_changed(reader_->where(i), fmt::format("index {} did not occur before", index));
      }
    }
  }
  void check_labels() const {
    const ClassesByValue classes = classes_by_value(encoding_);
    for (std::size_t i = 0; !classes.empty() && i < rows_.rows(); ++i) {
      if (find_class(classes, rows_.labels[i]) != nullptr) continue;
      throw_changed(reader_->where(i), fmt::format("the label {} did not occur before", spell(rows_.labels[i])));
    }
  }

  const Encoding& encoding_;
  std::size_t align_;
  std::optional<LibsvmReader> reader_;
  LibsvmRows rows_;
  std::int64_t rows_read_ = 0;
  DirectEntries entries_;
};

}  // namespace

PartFiles::PartFiles(const LoadRequest& request, const Encoding& encoding, int part, int parts,
                     const std::function<void()>& progress)
    : request_(request), encoding_(encoding) {
  MUSTER_CHECK(part >= 0 && part < parts, "a part that no worker had");
  Inputs inputs = find_inputs(request);
  const std::string& file = inputs.catalog.files.front().path;
  if (hash(fingerprint(inputs.catalog)) != encoding.loaded_from.files)
    throw_changed(file, "the files are not the same, or not of the same sizes");
  const Parts all = cut(inputs, parts);
  const auto index = static_cast<std::size_t>(part);
  plan_.pieces = all[index];
  if (inputs.catalog.format == Format::parquet) {
    plan_.columns = plan_again(request, parquet_columns(inputs.catalog, inputs.info), file, encoding);
  } else if (inputs.catalog.format == Format::csv) {
    CsvPart own = find_slices_alone(inputs.catalog, all, index, progress);
    plan_.columns = plan_again(request, own.columns, file, encoding);
    plan_.slices = std::move(own.slices);
    plan_.rows_scanned = own.rows_scanned;
  }
  plan_.catalog = std::move(inputs.catalog);
  stamp_files();
}

PartFiles::PartFiles(const LoadRequest& request, const Encoding& encoding, const PartPlan& plan)
    : request_(request), encoding_(encoding), plan_(plan) {
  stamp_files();
}

void PartFiles::stamp_files() {
  for (const Piece& piece : plan_.pieces) {
    const std::filesystem::path path = plan_.catalog.files[piece.file].path;
    std::error_code unreadable;  // whoever opens the file says why
    stamps_.push_back(
        {path, std::filesystem::file_size(path, unreadable), std::filesystem::last_write_time(path, unreadable)});
  }
}

void PartFiles::check_unchanged() const {
  if (plan_.cache) plan_.cache->check_unchanged();
  for (const Stamp& stamp : stamps_) {
    std::error_code unreadable;
    const auto bytes = std::filesystem::file_size(stamp.path, unreadable);
    const auto time = std::filesystem::last_write_time(stamp.path, unreadable);
    if (bytes != stamp.bytes || time != stamp.time) throw_changed(stamp.path, "the file is not what it was");
  }
}

std::unique_ptr<PartReader> PartFiles::open(std::size_t block_bytes, std::size_t align) const {
  check_unchanged();
  if (plan_.cache) return read_cached(plan_.cache, block_bytes, align);
  const Catalog& catalog = plan_.catalog;
  if (catalog.format == Format::libsvm)
    return std::make_unique<LibsvmPart>(catalog, plan_.pieces, block_bytes, request_.options.storage, encoding_, align);
  const std::vector<WantedColumn> wanted = wanted_columns(plan_.columns);
  const bool parquet = catalog.format == Format::parquet;
  return std::make_unique<TablePart>(plan_.columns,
                                     parquet ? read_parquet(catalog.files, plan_.pieces, wanted)
                                             : read_csv(plan_.slices, wanted, std::min(block_bytes, kTableBlock)),
                                     parquet ? 0 : plan_.rows_scanned, request_.options, encoding_, align);
}

Shard load_part(const LoadRequest& request, const Encoding& encoding, int part, int parts,
                const std::function<void()>& progress) {
  const std::function<void()> tick = progress ? progress : [] {};
  const std::unique_ptr<PartReader> reader = PartFiles(request, encoding, part, parts, tick).open();
  while (reader->stage()) tick();
  return reader->take();
}

}  // namespace muster
