// One line on a terminal that says how far a run is.
#pragma once

#include <string>

#include "muster/muster.h"

namespace muster::cli {

// "reading: 1,234,567 rows, 3.1 M rows/s, 120 MB/s, 4 s left"; "training: round 12, objective 0.5, gap 2e+04 (done at
// 1), 3 s left", where the gap is in units of the tolerance.
std::string describe(const Progress& progress);

// Rewritten in place on standard error where that is a terminal, else silent. Destroyed, it leaves an empty line.
// Threads: one at a time.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const Progress& progress);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
};

}  // namespace muster::cli
