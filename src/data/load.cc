#include "data/load.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/agree.h"
#include "data/csv_text.h"
#include "data/load_internal.h"
#include "muster/error.h"

namespace muster {
namespace {

std::string join_some(const std::vector<std::string>& levels) {
  constexpr std::size_t kMost = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(levels.size(), kMost); ++i) {
    text += fmt::format("{}'{}'", i == 0 ? "" : ", ", shown(levels[i]));
  }
  return levels.size() > kMost ? text + ", …" : text;
}

// Of two levels, the positive one second.
TargetClasses choose_positive(const std::string& target, std::vector<std::string> levels, bool numeric,
                              const std::string& wanted) {
  if (levels.size() < 2)
    throw InputError(
        fmt::format("{} has only one level ({}), where a logistic model needs exactly two", target, join_some(levels)));
  if (levels.size() > 2)
    throw InputError(
        fmt::format("{} has more than two levels ({}), where a logistic model needs exactly two: --loss "
                    "softmax fits many classes",
                    target, join_some(levels)));
  if (!wanted.empty()) {
    const auto same = [&](const std::string& level) {
      const auto number = as_number(wanted);
      return numeric && number ? *number == *as_number(level) : level == wanted;
    };
    const auto found = std::find_if(levels.begin(), levels.end(), same);
    if (found == levels.end()) {
      throw InputError(fmt::format("--positive {}: {} has the levels {}", shown(wanted), target, join_some(levels)));
    }
    if (found == levels.begin()) std::swap(levels[0], levels[1]);
  }
  std::string note = fmt::format("{}: '{}' is positive (1), '{}' negative (0){}", target, shown(levels[1]),
                                 shown(levels[0]), wanted.empty() ? "; --positive chooses" : "");
  return {std::move(levels), std::move(note)};
}

}  // namespace

Inputs find_inputs(const LoadRequest& request) {
  Inputs inputs{discover(request.options.paths, request.options.format), {}};
  if (inputs.catalog.format == Format::parquet) {
    for (const InputFile& file : inputs.catalog.files) inputs.info.push_back(inspect_parquet(file));
  }
  return inputs;
}

// The files must look the same from everywhere, or the parts would not fit together.
std::string fingerprint(const Catalog& catalog) {
  Packer packer;
  for (const InputFile& file : catalog.files) {
    packer.text(file.path);
    packer.number(file.bytes);
  }
  return packer.take();
}

// FNV-1a of 64 bits (G. Fowler, L. C. Noll, K.-P. Vo).
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

Parts cut(const Inputs& inputs, int readers) {
  std::vector<std::vector<std::int64_t>> group_rows;
  for (const ParquetInfo& one : inputs.info) group_rows.push_back(one.group_rows);
  return partition(inputs.catalog, readers, group_rows);
}

int reader_count(const LoadRequest& request, int workers) {
  return request.readers > 0 ? std::min(request.readers, workers) : workers;
}

Inputs agree_on_inputs(const LoadRequest& request, Peers& peers) {
  Inputs inputs;
  const auto seen = gather_or_throw(peers, [&] {
    inputs = find_inputs(request);
    return fingerprint(inputs.catalog);
  });
  for (std::size_t r = 1; r < seen.size(); ++r) {
    if (seen[r] == seen[0]) continue;
    throw InputError(
        fmt::format("workers 0 and {} do not see the same files under the paths given, or not of the same sizes", r));
  }
  return inputs;
}

Dataset load(const LoadRequest& request, Peers& peers, const ProgressCallback& progress) {
  const Inputs inputs = agree_on_inputs(request, peers);
  return request.options.cache ? load_with_cache(request, inputs, peers, progress)
                               : load_inputs(request, inputs, peers, progress);
}

Dataset load_inputs(const LoadRequest& request, const Inputs& inputs, Peers& peers, const ProgressCallback& progress) {
  Parts parts = cut(inputs, reader_count(request, peers.size()));
  parts.resize(static_cast<std::size_t>(peers.size()));
  Dataset data = inputs.catalog.format == Format::libsvm
                     ? load_libsvm(request, inputs.catalog, parts, peers, progress)
                     : load_table(request, inputs.catalog, parts, inputs.info, peers, progress);
  data.encoding.loaded_from.files = hash(fingerprint(inputs.catalog));
  return data;
}

std::size_t enough_levels(TargetKind target) {
  constexpr std::size_t kAFew = 6;
  return target == TargetKind::classes ? kMostClasses + 1 : kAFew;
}

TargetClasses choose_classes(const std::string& target, std::vector<std::string> levels, bool numeric,
                             const LoadRequest& request) {
  const auto less = [&](const std::string& a, const std::string& b) {
    return numeric ? *as_number(a) < *as_number(b) : a < b;
  };
  std::sort(levels.begin(), levels.end(), less);
  if (request.target == TargetKind::binary)
    return choose_positive(target, std::move(levels), numeric, request.positive);
  if (levels.size() < 2)
    throw InputError(
        fmt::format("{} has only one level ({}), where softmax needs two classes or more", target, join_some(levels)));
  if (levels.size() > kMostClasses)
    throw InputError(
        fmt::format("{} has more than {} levels ({}), too many for classes: --loss squared predicts a number", target,
                    kMostClasses, join_some(levels)));
  std::string note = fmt::format("{}: {} classes ({})", target, levels.size(), join_some(levels));
  return {std::move(levels), std::move(note)};
}

ProgressMeter::ProgressMeter(const ProgressCallback& callback, const Catalog& catalog, const std::vector<Piece>& part)
    : callback_(callback) {
  for (const Piece& piece : part) {
    const InputFile& file = catalog.files[piece.file];
    const bool range = catalog.format != Format::parquet && is_splittable(catalog, file);
    progress_.bytes_total += static_cast<std::int64_t>(range ? piece.end - piece.begin : file.bytes);
  }
}

void ProgressMeter::at(std::int64_t bytes, std::int64_t rows) {
  constexpr std::int64_t kStep = std::int64_t{32} << 20;
  if (!callback_ || bytes < next_) return;
  next_ = bytes + kStep;
  progress_.rows = rows;
  progress_.bytes_read = std::min(bytes, progress_.bytes_total);
  callback_(progress_);
}

void ProgressMeter::finish(std::int64_t rows) {
  next_ = 0;
  at(progress_.bytes_total, rows);
}

void note_unsplittable(const Catalog& catalog, int readers, std::vector<std::string>& notes) {
  if (readers < 2) return;
  std::vector<std::string> whole;
  for (const InputFile& file : catalog.files) {
    if (!is_splittable(catalog, file)) whole.push_back(file.path);
  }
  if (whole.empty()) return;
  notes.push_back(whole.size() == 1
                      ? fmt::format("not splittable: {} is packed, so one worker reads all of it", whole.front())
                      : fmt::format("not splittable: {} and {} more packed file{} are read whole, each by one worker",
                                    whole.front(), whole.size() - 1, whole.size() == 2 ? "" : "s"));
}

void check_row_count(std::int64_t in_files, std::int64_t read) {
  if (in_files == read) return;
  throw InputError(
      fmt::format("{} rows were read but the files hold {}: a file was changed while it was read", read, in_files));
}

std::string readable_bytes(double bytes) {
  const char* unit = "MB";
  double number = bytes / 1e6;
  for (const char* larger : {"GB", "TB"}) {
    if (number < 1000) break;
    number /= 1000;
    unit = larger;
  }
  return fmt::format("{:.{}f} {}", number, number < 10 ? 1 : 0, unit);
}

std::string spell(double number) {
  return fmt::format("{}", number);
}

}  // namespace muster
