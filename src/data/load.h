// Files to shards. Each worker reads only its own part of the files (byte ranges of text, row groups of Parquet, whole
// compressed files), agrees with the others on columns, types, levels and errors, and keeps its rows as a Shard.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/peers.h"
#include "data/encoding.h"
#include "data/shard.h"
#include "muster/options.h"

namespace muster {

enum class TargetKind { real, binary };

struct LoadRequest {
  DataOptions options;
  TargetKind target = TargetKind::real;
  std::string positive;  // binary: the level that counts as 1; empty: the larger
};

// Called on the reading worker, at most a few times a second.
struct LoadProgress {
  std::int64_t bytes_read = 0, bytes_total = 0;  // of this worker's part
  std::int64_t rows = 0;
};

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
};

// Collective over peers. Throws InputError, the same sentence on every worker, naming file, line and column; line
// numbers are those of the file, whoever read it.
Dataset load(const LoadRequest& request, Peers& peers, const std::function<void(const LoadProgress&)>& progress = {});

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
