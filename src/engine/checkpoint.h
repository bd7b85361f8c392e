// Where a long run has got to, kept on disk: DIRECTORY/checkpoint.json, replaced atomically, so that a process killed
// at any moment leaves the last complete one. It holds a model in the user's units, which any number of workers can go
// on from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/encoding.h"
#include "engine/fit.h"

namespace muster {

struct Checkpoint {
  Loss loss = Loss::squared;
  bool intercept = true;
  // What the coefficients belong to: names, in order; of LIBSVM data none, and instead the indices.
  struct Indices {
    int first = 0;
    std::size_t count = 0;
  };
  std::vector<std::string> features;
  std::optional<Indices> indices;
  std::vector<std::string> classes;  // of the target, in order; empty for regression
  std::int64_t round = 0;
  LinearModel model;
};

// The text of checkpoint.json, and back. parse throws InputError naming path where the text is not a checkpoint.
std::string serialise(const Checkpoint& checkpoint);
Checkpoint parse_checkpoint(const std::string& text, const std::string& path);

// Throws InputError naming what differs, unless checkpoint belongs to the model that encoding and problem describe. A
// changed penalty or tolerance is no difference: any starting point leads to the same optimum.
void check_compatible(const Checkpoint& checkpoint, const Encoding& encoding, const ProblemOptions& problem,
                      const std::string& path);

// The file inside directory. make_checkpoint_directory creates the directory, or throws InputError naming the cause.
std::string checkpoint_path(const std::string& directory);
void make_checkpoint_directory(const std::string& directory);

// The file's text, or nothing where there is no such file. Throws InputError where it can not be read.
std::optional<std::string> read_checkpoint(const std::string& directory);

}  // namespace muster
