// One worker's rows read again, without the other workers' help, with the encoding that load() agreed on.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "data/columns.h"
#include "data/csv_slices.h"
#include "data/load_internal.h"
#include "muster/error.h"

namespace muster {

class RowCache;

// Where a worker's rows are and what their columns are for, as load() found it.
struct PartPlan {
  Catalog catalog;
  std::vector<Piece> pieces;
  std::shared_ptr<const RowCache> cache = nullptr;  // where there is one, it is read in their stead
  // Tables:
  std::vector<ColumnPlan> columns;
  std::vector<CsvSlice> slices;
  std::int64_t rows_scanned = 0;
  bool guessed = false;  // the slices begin where a guess says, on every worker
};

// Collective, and all workers throw alike: what is wrong with rows that begin where a guess says may be the guess.
template <class Step>
auto unless_guessed(bool guessed, const Step& step) {
  try {
    return step();
  } catch (const InputError&) {
    if (guessed) throw WrongGuess();
    throw;
  }
}

class PartReader {
 public:
  virtual ~PartReader() = default;
  // Stages some more rows; false at the end. Throws InputError.
  virtual bool stage() = 0;
  // What take() will give takes in memory, about.
  virtual double staged_bytes() const = 0;
  // The rows staged since the last call, or the first of them, a multiple of what open() was told.
  virtual Shard take() = 0;
  // At the end.
  virtual ReadCounts counts() const = 0;
};

// Where a worker's rows are, found once and read as often as wanted. Threads: open() and what it gives on any.
class PartFiles {
 public:
  // As load_part(). encoding must outlive it.
  PartFiles(const LoadRequest& request, const Encoding& encoding, int part, int parts,
            const std::function<void()>& progress);
  PartFiles(const LoadRequest& request, const Encoding& encoding, const PartPlan& plan);

  // Blocks of text are of so many bytes at most, those of a cache of about so many. align:
  // take() is called now and then, and where it saves copying gives a multiple of so many rows; 0: once, for all.
  // Throws InputError where a file is not what it was.
  std::unique_ptr<PartReader> open(std::size_t block_bytes = std::size_t{4} << 20, std::size_t align = 0) const;
  // Likewise; a reader that has come to its end does not.
  void check_unchanged() const;

 private:
  struct Stamp {
    std::string path;
    std::uintmax_t bytes;
    std::filesystem::file_time_type time;
  };
  void stamp_files();

  LoadRequest request_;
  const Encoding& encoding_;
  PartPlan plan_;
  std::vector<Stamp> stamps_;
};

}  // namespace muster
