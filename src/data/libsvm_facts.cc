#include "data/libsvm_facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/agree.h"
#include "data/csv_text.h"
#include "muster/error.h"

namespace muster {

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

// They ascend in a row.
void note_indices(const LibsvmRows& rows, LibsvmFacts& facts) {
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::size_t begin = rows.row_begin[i], end = rows.row_begin[i + 1];
    if (begin == end) continue;
    facts.lowest = std::min<std::uint64_t>(facts.lowest, rows.indices[begin]);
    facts.highest = std::max<std::uint64_t>(facts.highest, rows.indices[end - 1]);
    facts.any_index = true;
  }
}

void note_labels(const LibsvmRows& rows, std::size_t enough, std::set<double>& labels) {
  for (std::size_t i = 0; i < rows.rows() && labels.size() < enough; ++i) labels.insert(rows.labels[i]);
}

std::string pack(const LibsvmFacts& facts) {
  Packer packer;
  for (const std::uint64_t n : {facts.rows_counted, facts.rows_read, facts.lowest, facts.highest}) packer.number(n);
  packer.number(facts.any_index);
  packer.number(facts.labels.size());
  for (const double label : facts.labels) packer.real(label);
  return packer.take();
}

LibsvmFacts merge_facts(const std::vector<std::string>& all) {
  LibsvmFacts facts;
  for (const std::string& one : all) {
    Unpacker from(one);
    facts.rows_counted += from.number();
    facts.rows_read += from.number();
    facts.lowest = std::min(facts.lowest, from.number());
    facts.highest = std::max(facts.highest, from.number());
    facts.any_index |= from.number() != 0;
    for (std::uint64_t n = from.number(); n > 0; --n) facts.labels.insert(from.real());
  }
  return facts;
}

void check_facts(const LibsvmFacts& facts, const Catalog& catalog) {
  check_row_count(static_cast<std::int64_t>(facts.rows_counted), static_cast<std::int64_t>(facts.rows_read));
  if (facts.rows_read == 0) throw InputError(fmt::format("{}: there are no rows", catalog.files[0].path));
  if (!facts.any_index) throw InputError(fmt::format("{}: no row has a feature", catalog.files[0].path));
}

void encode_libsvm(const LoadRequest& request, const LibsvmFacts& facts, Dataset& data) {
  Encoding& encoding = data.encoding;
  encoding.format = Format::libsvm;
  encoding.missing = request.options.missing;
  const LibsvmBase asked = request.options.libsvm_base;
  encoding.libsvm_base = asked == LibsvmBase::one || (asked == LibsvmBase::automatic && facts.lowest > 0) ? 1 : 0;
  if (asked == LibsvmBase::automatic) {
    data.summary.notes.push_back(fmt::format("LIBSVM indices start at {} ({})", encoding.libsvm_base,
                                             encoding.libsvm_base == 0 ? "index 0 occurs" : "index 0 does not occur"));
  }
  data.summary.rows_in_files = static_cast<std::int64_t>(facts.rows_counted);
  data.summary.rows_read = static_cast<std::int64_t>(facts.rows_read);
  encoding.libsvm_features = facts.highest + 1 - static_cast<std::uint64_t>(encoding.libsvm_base);
  if (request.target == TargetKind::real) return;
  std::vector<std::string> levels;
  for (const double label : facts.labels) levels.push_back(spell(label));
  TargetClasses chosen = choose_classes("the label", std::move(levels), true, request);
  encoding.classes = std::move(chosen.classes);
  data.summary.notes.push_back(std::move(chosen.note));
}

}  // namespace muster
