// A worker's rows as load() made them, kept in a file beside the data, so that other runs and passes need not parse
// text.
//
// The file holds blocks of rows, each the arrays of a Shard behind a line that says how long they are, and at its end
// what else load() told: encoding, summary and shape, with a key of all that the rows follow from (the files by path,
// size and time, the options, which part of how many, the form of the file itself). Blocks and end carry checksums, and
// none is taken unseen: a cache of another key, or one that is damaged or not whole, is none. It appears whole or not
// at all, so runs at once do each other no harm: the last to finish stays. It is for the machine that wrote it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "data/load.h"
#include "data/part_reader.h"
#include "data/row_source.h"

namespace muster {

// The form of the file: 16 bytes, others where it changes.
inline constexpr std::string_view kRowCacheForm = "muster rows 1 \r\n";

class CacheFile;

class RowCache {
 public:
  // Reads all of the file, calling progress between blocks; null where there is none that can be taken.
  static std::unique_ptr<const RowCache> open(const std::string& path, std::uint64_t key,
                                              const std::function<void()>& progress);

  const Encoding& encoding() const { return encoding_; }
  const LoadSummary& summary() const { return summary_; }
  const RowShape& shape() const { return shape_; }
  // A shard of their kind.
  Shard no_rows() const;
  // All rows. Throws InputError where the file is no longer what it was.
  Shard rows(const std::function<void()>& progress) const;
  // As a part is read from its files. This must outlive what is returned.
  std::unique_ptr<PartReader> reader() const;

 private:
  friend class CacheFile;
  CacheFile open_again() const;

  std::string path_;
  std::uint64_t key_ = 0;
  Encoding encoding_;
  LoadSummary summary_;
  RowShape shape_;
  std::vector<PowerFeature> powers_;
};

// Throws InputError where the file can not be written.
void write_row_cache(const std::string& path, std::uint64_t key, const Dataset& data, RowSource& rows,
                     const std::function<void()>& progress);

}  // namespace muster
