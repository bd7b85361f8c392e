// A worker's rows as load() made them, in a file that is mapped (data/mapped_file.h), so that other runs and passes
// need not parse text.
//
// The file holds the arrays of a Shard one behind the other, each whole and on a cache line, so that a shard and its
// windows see their rows where they lie, and at its end what else load() told: encoding, summary and shape, checksums
// of the arrays, with a key of all that the rows follow from (the files by path, size and time, the options, which part
// of how many, the form of the file itself). Nothing is taken unseen: a cache of another key, or one that is damaged or
// not whole, is none.
//
// Beside the data it appears whole or not at all, and is replaced, never written to, so runs at once do each other no
// harm: the last to finish stays, and whoever has mapped another keeps that. It is for the machine that wrote it. What
// rows a run alone needs are kept in the same form in a file without a name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "data/load.h"
#include "data/part_reader.h"
#include "data/row_source.h"

namespace muster {

// The form of the file: 16 bytes, others where it changes.
inline constexpr std::string_view kRowCacheForm = "muster rows 2 \r\n";

class RowCache {
 public:
  // Reads all of the file, calling progress some times; null where there is none that can be taken.
  static std::shared_ptr<const RowCache> open(const std::string& path, std::uint64_t key,
                                              const std::function<void()>& progress);

  // Of an open file that this run has written itself: its arrays are not looked at. name: for sentences.
  static std::shared_ptr<const RowCache> map(Descriptor file, std::string name, std::uint64_t key);

  const Encoding& encoding() const { return encoding_; }
  const LoadSummary& summary() const { return summary_; }
  const RowShape& shape() const { return shape_; }
  // A shard of their kind.
  Shard no_rows() const;
  // All rows. They are seen where they lie; so are the next.
  Shard rows() const;
  // Rows [begin, end), read ahead of their first use; not this process's memory once the shard and what is cut from it
  // are gone.
  Shard rows_read(std::size_t begin, std::size_t end) const;
  // What rows [begin, end) take.
  double bytes_of(std::size_t begin, std::size_t end) const;
  // Throws InputError where the file is no longer what it was.
  void check_unchanged() const;

 private:
  // Where an array lies.
  enum Section : std::size_t { row_begin, values, columns, targets, weights, offsets, folds, count };
  struct Sections {
    std::uint64_t begin[count + 1] = {};  // and where the last one ends
    std::uint64_t size[count] = {};       // elements
  };
  friend class RowCacheWriter;

  static Sections sections_of(const RowShape& shape, const Encoding& encoding);
  bool read_end(std::uint64_t key);
  bool intact(const std::function<void()>& progress) const;
  template <class T>
  const T* at(Section section) const;
  std::vector<std::span<const std::byte>> stretches(std::size_t begin, std::size_t end) const;
  Shard rows_between(std::size_t begin, std::size_t end, const std::shared_ptr<const void>& keeper) const;

  std::shared_ptr<const MappedFile> file_;
  Sections sections_;
  std::uint64_t checksums_[count] = {};
  Encoding encoding_;
  LoadSummary summary_;
  RowShape shape_;
  std::vector<PowerFeature> powers_;
};

// The rows of a cache as a part is read from its files, in blocks of about so many bytes and a multiple of `align`
// rows.
std::unique_ptr<PartReader> read_cached(std::shared_ptr<const RowCache> cache, std::size_t block_bytes,
                                        std::size_t align);

// Writes bytes at an offset; throws InputError.
using WriteAt = std::function<void(std::uint64_t offset, std::string_view bytes)>;
// Writes a cache.
void write_row_cache(const WriteAt& write_at, std::uint64_t key, const Dataset& data, RowSource& rows,
                     const std::function<void()>& progress);

}  // namespace muster
