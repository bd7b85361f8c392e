// Files to shards. Each worker reads only its own part of the files (byte ranges of text, row groups of Parquet, whole
// compressed files), agrees with the others on columns, types, levels and errors, and keeps its rows as a Shard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/peers.h"
#include "data/encoding.h"
#include "data/partition.h"
#include "data/row_budget.h"
#include "data/shard.h"
#include "muster/options.h"

namespace muster {

enum class TargetKind { real, binary, classes };

struct LoadRequest {
  DataOptions options;
  TargetKind target = TargetKind::real;
  std::string positive;  // binary: the level that counts as 1; empty: the larger
  // Only so many of the peers, the first, read rows; the others agree with them and get shards of no rows, of the same
  // kind and columns. 0 or more than there are: all.
  int readers = 0;
  // What this worker's process may hold of rows; null: any number. Outlives all use of the request.
  RowBudget* budget = nullptr;
  std::string fold_column = {};  // its labels say in Shard::folds which rows belong together; empty: none
  // Up to so many features: where the first rows tell all there is to know but the rows (columns of numbers, none of
  // offsets or means to fill in, and a target to be predicted by value), load() leaves the rest unread.
  std::size_t unread_features = 0;
  double window_bytes = 16e6;  // StreamOptions::window_bytes, where load() itself streams rows
  // Rows are left unread, too, where a target of two classes is a column of numbers: whoever reads the rows gets them
  // as they are written, and finds the classes.
  bool labels_as_written = false;
  // Rows left unread may begin where a guess says: count_rows() may throw WrongGuess.
  bool guess_unread = false;
};

// What reading a worker's rows has counted.
struct ReadCounts {
  std::int64_t rows_in_files = 0;  // apart from parsing where the format allows
  std::int64_t rows_read = 0, rows_dropped = 0;
  std::vector<ReadStretch> stretches = {};

  void add(const ReadCounts& more) {
    rows_in_files += more.rows_in_files;
    rows_read += more.rows_read;
    rows_dropped += more.rows_dropped;
    stretches.insert(stretches.end(), more.stretches.begin(), more.stretches.end());
  }
};
struct PartPlan;

// Thrown by all workers: a line break that they took for the end of a row stands inside quotes, and what they have read
// is to be forgotten.
struct WrongGuess : std::runtime_error {
  WrongGuess() : std::runtime_error("rows do not begin where they were guessed to begin") {}
};

// Called on the reading worker, at most a few times a second.
struct LoadProgress {
  std::int64_t bytes_read = 0, bytes_total = 0;  // of this worker's part
  std::int64_t rows = 0;
};

// More levels of a target are taken for numbers to be predicted by value.
inline constexpr std::size_t kMostClasses = 1000;

// Equal on every worker but for the shard.
struct LoadSummary {
  std::int64_t rows_in_files = 0;  // counted apart from parsing where the format allows
  std::int64_t rows_read = 0;      // parsed by all workers, dropped ones included
  std::int64_t rows_dropped = 0;   // for missing values
  std::int64_t cells_filled = 0;
  std::vector<std::string> notes;  // what the user should know: base detected, files not splittable, positive level, …
};

struct Dataset {
  Encoding encoding;
  Shard shard;
  LoadSummary summary;
  // Equal on every worker: the rows do not fit their budgets, and no shard has any; StreamedRows reads them.
  bool streamed = false;
  // Not null, on any worker, where load() left the rows unread: this worker's part, for StreamedRows::add_unread. Then
  // streamed, too, and the summary counts no rows until count_rows().
  std::shared_ptr<const PartPlan> unread = nullptr;
  // Not null, on any worker, where rows are streamed from a cache: this worker's part, for StreamedRows::add_cached.
  std::shared_ptr<const PartPlan> cached = nullptr;
};

// Collective over peers. Throws InputError, the same sentence on every worker, naming file, line and column; line
// numbers are those of the file, whoever read it.
Dataset load(const LoadRequest& request, Peers& peers, const std::function<void(const LoadProgress&)>& progress = {});

// Collective. For rows that load() left unread, once each worker has read its own, `own` with sum of weights `weight`:
// completes data.summary, and refuses what load() refuses. Throws WrongGuess where rows were guessed, and wrongly.
void count_rows(const ReadCounts& own, double weight, Peers& peers, Dataset& data);

// The rows that worker `part` of `parts` readers got in the load() that made this encoding, bit for bit, read again
// without the other workers' help: for whoever takes over from one that is lost. request is that of the load(). Not
// collective. Calls progress between blocks. Throws InputError, also when the files are no longer what they were:
// others, of other sizes, or with levels, labels or features that the encoding has not.
Shard load_part(const LoadRequest& request, const Encoding& encoding, int part, int parts,
                const std::function<void()>& progress = {});

// Reads files for an existing model, in file and row order, in blocks of bounded size; every column the encoding needs
// must be there, in any order. With want_target, targets (and weights) are read too. Throws InputError.
struct StreamRequest {
  std::vector<std::string> paths;
  Format format = Format::automatic;
  bool want_target = false;
};
LoadSummary stream(const StreamRequest& request, const Encoding& encoding,
                   const std::function<void(const Shard&)>& block);

}  // namespace muster
