// From byte ranges to ranges of whole rows, agreed over all workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/peers.h"
#include "data/csv_reader.h"
#include "data/partition.h"

namespace muster {

struct CsvPart {
  std::vector<std::string> columns;  // of the first file; the same on every worker
  std::vector<CsvSlice> slices;      // this worker's
  std::int64_t rows_scanned = 0;     // that begin in those of its slices which were scanned to find their start
  bool guessed = false;              // on every worker: shared files were not scanned
};

// Collective. Reads headers, refuses files whose columns differ, and scans files that several workers share, so that
// each knows where its first row begins even when its range starts inside quotes. Or, where that is allowed and no
// quote is near the beginning of a range, guesses that rows begin at line breaks: whoever reads them must see whether
// they meet.
CsvPart find_slices(const Catalog& catalog, const Parts& parts, bool may_guess, Peers& peers);

// Whether the readers of each file began where the one before had come to. The first is known to begin with a row, so
// then all do.
bool stretches_meet(std::vector<ReadStretch> all);

// What find_slices() gives worker `part`, found by one who scans what those before it would have scanned.
CsvPart find_slices_alone(const Catalog& catalog, const Parts& parts, std::size_t part,
                          const std::function<void()>& progress);

}  // namespace muster
