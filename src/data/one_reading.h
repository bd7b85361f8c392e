// The rows of one worker as they are read, once, for whoever learns on the way and needs to know nothing of them
// before: no pass looks ahead. LIBSVM files and tables of numbers are read once. A column of words has levels, and
// offsets and --missing mean need counts or means, which take a first look: such tables are loaded as ever
// (data/load.h), and their rows come from memory, or from the files again where they do not fit.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "data/load.h"
#include "data/streamed_rows.h"

namespace muster {

struct EndOfReading {
  bool complete = true;             // next() has come to the end
  std::int64_t rows = 0;            // that next() gave
  std::vector<double> labels = {};  // two classes: targets seen by any worker, as next() gave them
};

// Threads: one at a time.
class OneReading {
 public:
  virtual ~OneReading() = default;
  // Some next rows, valid until the next call; null at the end. Columns are features from `first_feature` on, once
  // finish() knows it; targets of two classes are as written, or 0 and 1. Throws InputError.
  virtual const Shard* next() = 0;
  // Collective, by all or none: what is known now of the files, without rows. Throws InputError.
  virtual Dataset finish(const EndOfReading& end, Peers& peers) = 0;
  // After finish(): the number that next() gave the first feature.
  virtual std::uint32_t first_feature() const { return 0; }
  // After finish(): of two classes, the target of the positive one, as next() gave it.
  virtual double positive(const Dataset& data) const = 0;
};

// Collective. Throws InputError.
std::unique_ptr<OneReading> read_once(const LoadRequest& request, const StreamOptions& options, Peers& peers,
                                      const std::function<void(const LoadProgress&)>& progress);

}  // namespace muster
