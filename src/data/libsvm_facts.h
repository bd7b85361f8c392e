// What reading LIBSVM files tells of them: their base, how many features there are, labels and counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "data/csv_cut.h"
#include "data/libsvm_text.h"
#include "data/load_internal.h"

namespace muster {

struct LibsvmFacts {
  std::uint64_t rows_counted = 0, rows_read = 0;
  std::uint64_t lowest = kNowhere, highest = 0;  // indices as written
  bool any_index = false;
  std::set<double> labels;  // at most enough_levels() of each worker
};

// Throws InputError for options of columns by name.
void refuse_column_options(const LoadRequest& request);

void note_indices(const LibsvmRows& rows, LibsvmFacts& facts);
void note_labels(const LibsvmRows& rows, std::size_t enough, std::set<double>& labels);

// For a gather: one worker's, and those of all.
std::string pack(const LibsvmFacts& facts);
LibsvmFacts merge_facts(const std::vector<std::string>& all);

// Of all workers. Throws InputError where there are no rows or no features, or a file has changed.
void check_facts(const LibsvmFacts& facts, const Catalog& catalog);
// Fills in the encoding, the counts of rows, and notes. Throws InputError where the labels are not what the request
// asks for.
void encode_libsvm(const LoadRequest& request, const LibsvmFacts& facts, Dataset& data);

}  // namespace muster
