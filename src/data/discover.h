// Which files a user's paths mean, and what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muster/options.h"

namespace muster {

enum class Compression { none, gzip, zstd, bz2, lz4 };

struct InputFile {
  std::string path;
  std::uint64_t bytes = 0;  // as stored
  Compression compression = Compression::none;
};

// The input as one sequence: files in the order they were given, those of a directory or glob sorted by path, each
// once, all of one format.
struct Catalog {
  Format format = Format::csv;  // never automatic
  std::vector<InputFile> files;
};

// Files as they are; globs as glob(3) expands them; directories with every data file below them (hidden files and
// those of other extensions are skipped). The format comes from extensions, then from content, unless given.
// Throws InputError: nothing found, unreadable, formats mixed.
Catalog discover(const std::vector<std::string>& paths, Format format);

}  // namespace muster
