// load() of LIBSVM files: byte ranges are cut at line breaks; the base and the number of features are agreed.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/agree.h"
#include "data/csv_text.h"
#include "data/kept_blocks.h"
#include "data/libsvm_blocks.h"
#include "data/load_internal.h"
#include "muster/error.h"

namespace muster {
namespace {

void refuse_column_options(const LoadRequest& request) {
  const DataOptions& options = request.options;
  const char* option = !options.features.empty()      ? "--features"
                       : !options.drop.empty()        ? "--drop"
                       : !options.categorical.empty() ? "--categorical"
                       : !options.weight.empty()      ? "--weight"
                       : !options.offset.empty()      ? "--offset"
                       : !options.polynomials.empty() ? "--poly"
                       : !request.fold_column.empty() ? "--fold-column"
                                                      : nullptr;
  if (option) throw InputError(fmt::format("{} names columns, and LIBSVM files have none", option));
  if (!options.target.empty()) {
    throw InputError(
        fmt::format("--target {}: LIBSVM files have no columns and carry their own label; leave --target out",
                    shown(options.target)));
  }
}

struct Tally {
  std::uint64_t rows_counted = 0, rows_read = 0;
  std::uint64_t lowest = kNowhere, highest = 0;
  bool any_index = false;
  std::set<double> labels;  // at most enough_levels() of each worker
};

// They ascend in a row.
void note_indices(const LibsvmRows& rows, Tally& tally) {
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::size_t begin = rows.row_begin[i], end = rows.row_begin[i + 1];
    if (begin == end) continue;
    tally.lowest = std::min<std::uint64_t>(tally.lowest, rows.indices[begin]);
    tally.highest = std::max<std::uint64_t>(tally.highest, rows.indices[end - 1]);
    tally.any_index = true;
  }
}

void note_labels(const LibsvmRows& rows, std::size_t enough, std::set<double>& labels) {
  for (std::size_t i = 0; i < rows.rows() && labels.size() < enough; ++i) labels.insert(rows.labels[i]);
}

std::string pack(const Tally& tally) {
  Packer packer;
  for (const std::uint64_t n : {tally.rows_counted, tally.rows_read, tally.lowest, tally.highest}) packer.number(n);
  packer.number(tally.any_index);
  packer.number(tally.labels.size());
  for (const double label : tally.labels) packer.real(label);
  return packer.take();
}

Tally merge(const std::vector<std::string>& all) {
  Tally tally;
  for (const std::string& one : all) {
    Unpacker from(one);
    tally.rows_counted += from.number();
    tally.rows_read += from.number();
    tally.lowest = std::min(tally.lowest, from.number());
    tally.highest = std::max(tally.highest, from.number());
    tally.any_index |= from.number() != 0;
    for (std::uint64_t n = from.number(); n > 0; --n) tally.labels.insert(from.real());
  }
  return tally;
}

void encode(const LoadRequest& request, const Tally& tally, Dataset& data) {
  Encoding& encoding = data.encoding;
  encoding.format = Format::libsvm;
  encoding.missing = request.options.missing;
  const LibsvmBase asked = request.options.libsvm_base;
  encoding.libsvm_base = asked == LibsvmBase::one || (asked == LibsvmBase::automatic && tally.lowest > 0) ? 1 : 0;
  if (asked == LibsvmBase::automatic) {
    data.summary.notes.push_back(fmt::format("LIBSVM indices start at {} ({})", encoding.libsvm_base,
                                             encoding.libsvm_base == 0 ? "index 0 occurs" : "index 0 does not occur"));
  }
  encoding.libsvm_features = tally.highest + 1 - static_cast<std::uint64_t>(encoding.libsvm_base);
  if (request.target == TargetKind::real) return;
  std::vector<std::string> levels;
  for (const double label : tally.labels) levels.push_back(spell(label));
  TargetClasses chosen = choose_classes("the label", std::move(levels), true, request);
  encoding.classes = std::move(chosen.classes);
  data.summary.notes.push_back(std::move(chosen.note));
}

}  // namespace

Dataset load_libsvm(const LoadRequest& request, const Catalog& catalog, const Parts& parts, Peers& peers,
                    const ProgressCallback& progress) {
  refuse_column_options(request);
  const std::vector<Piece>& own = parts[static_cast<std::size_t>(peers.rank())];
  const std::uint32_t lowest = request.options.libsvm_base == LibsvmBase::one ? 1 : 0;
  ProgressMeter meter(progress, catalog, own);
  KeptBlocks<StagedLibsvm> blocks(request.budget);
  const auto all = gather_or_throw(peers, [&] {
    Tally tally;
    LibsvmReader reader(catalog, own, lowest, kHighestLibsvmIndex);
    LibsvmRows rows;
    while (reader.next(rows)) {
      blocks.add(stage_libsvm(rows, request.options.storage));
      tally.rows_read += rows.rows();
      note_indices(rows, tally);
      note_labels(rows, enough_levels(request.target), tally.labels);
      meter.at(reader.bytes_read(), static_cast<std::int64_t>(tally.rows_read));
      peers.progress();
    }
    meter.finish(static_cast<std::int64_t>(tally.rows_read));
    tally.rows_counted = reader.rows_counted();
    return pack(tally);
  });
  release_free_memory();  // before the matrix grows
  const Tally tally = merge(all);
  check_row_count(static_cast<std::int64_t>(tally.rows_counted), static_cast<std::int64_t>(tally.rows_read));
  if (tally.rows_read == 0) throw InputError(fmt::format("{}: there are no rows", catalog.files[0].path));
  if (!tally.any_index) throw InputError(fmt::format("{}: no row has a feature", catalog.files[0].path));

  Dataset data;
  encode(request, tally, data);
  data.summary.rows_in_files = static_cast<std::int64_t>(tally.rows_counted);
  data.summary.rows_read = static_cast<std::int64_t>(tally.rows_read);
  note_unsplittable(catalog, reader_count(request, peers.size()), data.summary.notes);
  agree_to_hold(blocks, 0, peers, data);  // staged in about the size of the matrix
  data.shard = build_libsvm_shard(data.encoding, blocks.release(), request.options.storage);
  return data;
}

}  // namespace muster
