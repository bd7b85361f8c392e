// What a worker tells the others of the rows it has read of a table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/double_double.h"
#include "data/agree.h"
#include "data/partition.h"
#include "data/staging.h"

namespace muster {

// Of all workers; by column of the plan where it is a vector.
struct Tally {
  std::int64_t rows_counted = 0, rows_read = 0, rows_dropped = 0;
  std::vector<std::int64_t> missing, known;
  std::vector<DoubleDouble> sum;
  std::vector<std::vector<std::string>> levels;
  std::vector<double> target_values;
  std::vector<ReadStretch> stretches;
};

void pack(const std::vector<ReadStretch>& stretches, Packer& packer);
void unpack(Unpacker& from, std::vector<ReadStretch>& stretches);

// One worker's.
std::string pack(const Stager& stager, std::int64_t rows_counted, const std::vector<ReadStretch>& stretches,
                 std::size_t columns);
// Adds the tallies in order of rank; levels and target values become sorted sets.
Tally merge(const std::vector<std::string>& all, std::size_t columns);

}  // namespace muster
