// load() in its steps, for load.cc and for tests that cut files where they like.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/load.h"
#include "data/parquet_reader.h"
#include "data/partition.h"

namespace muster {

using ProgressCallback = std::function<void(const LoadProgress&)>;

// The files as one worker sees them.
struct Inputs {
  Catalog catalog;
  std::vector<ParquetInfo> info;  // Parquet footers, by file
};
Inputs find_inputs(const LoadRequest& request);
// Collective. The same, once it is checked that all workers find the same.
Inputs agree_on_inputs(const LoadRequest& request, Peers& peers);
std::string fingerprint(const Catalog& catalog);
std::uint64_t hash(std::string_view text);
// The parts of so many readers.
Parts cut(const Inputs& inputs, int readers);
// The column names of the first file, once it is checked that all have the same.
std::vector<std::string> parquet_columns(const Catalog& catalog, const std::vector<ParquetInfo>& info);

// Collective. parts must be the same on every worker. info: Parquet footers, by file.
Dataset load_table(const LoadRequest& request, const Catalog& catalog, const Parts& parts,
                   const std::vector<ParquetInfo>& info, Peers& peers, const ProgressCallback& progress);
Dataset load_libsvm(const LoadRequest& request, const Catalog& catalog, const Parts& parts, Peers& peers,
                    const ProgressCallback& progress);

// load() of the inputs, without a cache.
Dataset load_inputs(const LoadRequest& request, const Inputs& inputs, Peers& peers, const ProgressCallback& progress);
// Collective. The same where --cache is asked for: from every worker's cache where all have one, else written there.
Dataset load_with_cache(const LoadRequest& request, const Inputs& inputs, Peers& peers,
                        const ProgressCallback& progress);

// The classes of a target, in the order of their places, and what the user should know of them.
struct TargetClasses {
  std::vector<std::string> classes;
  std::string note;
};
// numeric: levels are spelled numbers, ordered and matched by value. Throws InputError where there are not as many as
// the request's kind of target takes, and where the positive one that it asks for is not among them.
TargetClasses choose_classes(const std::string& target, std::vector<std::string> levels, bool numeric,
                             const LoadRequest& request);
// Distinct targets that are worth collecting: enough to say that there are too many.
std::size_t enough_levels(TargetKind target);

// Reports at most once every few tens of megabytes: a few times a second.
class ProgressMeter {
 public:
  ProgressMeter(const ProgressCallback& callback, const Catalog& catalog, const std::vector<Piece>& part);
  void at(std::int64_t bytes, std::int64_t rows);
  void finish(std::int64_t rows);

 private:
  const ProgressCallback& callback_;
  LoadProgress progress_;
  std::int64_t next_ = 0;
};

// "lies in" checks and notes that both kinds of files share.
void note_unsplittable(const Catalog& catalog, int readers, std::vector<std::string>& notes);
int reader_count(const LoadRequest& request, int workers);
void check_row_count(std::int64_t in_files, std::int64_t read);
std::string readable_bytes(double bytes);  // "3.1 GB"
std::string spell(double number);          // shortest text that reads back as the same number

}  // namespace muster
