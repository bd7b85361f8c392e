// Rows that are not kept in memory: every pass reads the files again, with the encoding agreed on at first, bit for
// bit, or the parsed rows from a cache or where they were set aside. A thread of the pass reads and parses ahead of it,
// by one window.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/double_double.h"
#include "data/load.h"
#include "data/row_source.h"

namespace muster {

class PartFiles;
struct WindowSums;

struct StreamOptions {
  // Of rows in a window, about. A pass holds some five times as much: a window in use, one that waits, one that is
  // made, and what is staged for it.
  double window_bytes = 16e6;
  // Called on the thread of the pass for every window, and while it waits for one some times a second; may throw.
  std::function<void()> while_waiting = {};
};

class StreamedRows final : public RowSource {
 public:
  // request is that of the load(), encoding what it gave, parts its number of readers. encoding must outlive this.
  StreamedRows(const LoadRequest& request, const Encoding& encoding, int parts, const StreamOptions& options);
  ~StreamedRows() override;

  // Adds the rows of a part below those that are there. Not collective; reads them once. Throws InputError.
  void add(int part);
  // Likewise a part that load() left unread: the first pass reads it, and until its end shape() knows no rows. Reads
  // head() alone.
  void add_unread(const PartPlan& plan);
  // A part whose rows are in the cache of the plan.
  void add_cached(const PartPlan& plan);
  // Writes the rows that were added, parsed, to a temporary file, from which passes then read them. Returns its
  // directory. Throws NoTemporaryFile, and then passes read the files as before.
  std::string set_aside();
  // Of what add() and the first pass read.
  const ReadCounts& counts() const { return counts_; }
  // Leaves no rows.
  void clear();

  const RowShape& shape() override { return shape_; }
  std::unique_ptr<RowPass> begin(std::size_t align) override;
  const Shard& head() override { return head_; }
  const Shard* held() override { return nullptr; }

 private:
  void note_head(const Shard& window);
  void take_sums(const WindowSums& sums, const ReadCounts& counts);

  LoadRequest request_;
  const Encoding& encoding_;
  int parts_;
  StreamOptions options_;
  std::vector<std::shared_ptr<const PartFiles>> files_;
  Shard head_;
  bool unread_ = false;
  RowShape shape_;
  DoubleDouble weight_;
  ReadCounts counts_;
};

}  // namespace muster
