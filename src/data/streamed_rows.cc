#include "data/streamed_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/temporary_file.h"
#include "data/encode.h"
#include "data/pages.h"
#include "data/part_reader.h"
#include "data/row_cache.h"
#include "muster/error.h"

namespace muster {

// Adds up what windows hold.
struct WindowSums {
  RowShape shape{.value_bytes = 0};
  DoubleDouble weight;

  void add(const Shard& window) {
    const RowShape added = shape_of(window);
    shape.rows += added.rows;
    shape.entries += added.entries;
    shape.beside += added.beside;
    shape.value_bytes = std::max(shape.value_bytes, added.value_bytes);
    if (window.weights.empty()) {
      weight += added.weight;
    } else {
      for (const double w : window.weights) weight += w;
    }
  }
};

namespace {

using Files = std::vector<std::shared_ptr<const PartFiles>>;

// The parts' rows as windows, on one thread.
class WindowReader {
 public:
  WindowReader(Files files, std::size_t align, double window_bytes)
      : files_(std::move(files)), align_(align), window_bytes_(window_bytes) {}

  // before_reading is called often; it may throw.
  std::optional<Shard> next(const std::function<void()>& before_reading) {
    while (part_ < files_.size()) {
      if (!reader_) reader_ = files_[part_]->open(block_bytes(), align_);
      bool more = true;
      while (more && reader_->staged_bytes() < window_bytes_) {
        before_reading();
        more = reader_->stage();
      }
      add(reader_->take());
      if (!more) {
        counts_.add(reader_->counts());
        reader_.reset();
        files_[part_++]->check_unchanged();
      }
      const std::size_t whole = rest_ ? rest_->rows() / align_ * align_ : 0;
      if (part_ < files_.size() && whole > 0) return cut(whole);
    }
    if (!rest_ || rest_->rows() == 0) return std::nullopt;
    return std::exchange(rest_, std::nullopt);
  }

  const ReadCounts& counts() const { return counts_; }  // of the parts that are read

 private:
  // Small enough that a window is not much more than it should be.
  std::size_t block_bytes() const {
    constexpr double kSmallest = 1024, kLargest = 4 << 20;
    return static_cast<std::size_t>(std::clamp(window_bytes_ / 4, kSmallest, kLargest));
  }
  void add(Shard rows) {
    if (rest_) {
      append_rows(*rest_, std::move(rows));
    } else {
      rest_ = std::move(rows);
    }
  }
  Shard cut(std::size_t rows) {
    const std::size_t all = rest_->rows();
    if (rows == all) return *std::exchange(rest_, std::nullopt);
    Shard after = slice_rows(*rest_, rows, all);
    keep_rows(*rest_, rows);
    return *std::exchange(rest_, std::move(after));
  }

  Files files_;
  std::size_t align_;
  double window_bytes_;
  std::size_t part_ = 0;
  ReadCounts counts_;
  std::unique_ptr<PartReader> reader_;
  std::optional<Shard> rest_;  // rows that are not yet in a window
};

using EndOfRead = std::function<void(const WindowSums&, const ReadCounts&)>;

// A thread reads one window ahead.
class ReadAhead final : public RowPass {
 public:
  // rows: so many are expected; or none are, and at_end is told what there was.
  ReadAhead(Files files, std::size_t align, std::optional<std::size_t> rows, const StreamOptions& options,
            EndOfRead at_end)
      : options_(options),
        rows_expected_(rows),
        at_end_(std::move(at_end)),
        files_(files),
        reader_(std::move(files), align, options.window_bytes),
        thread_([this] { read(); }) {}

  ~ReadAhead() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  const Shard* next() override {
    window_.reset();  // before it waits for another
    if (options_.while_waiting) options_.while_waiting();
    wait();
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    window_ = std::exchange(ready_, std::nullopt);
    changed_.notify_all();
    if (!window_)  // windows of a mapped cache are read while they are in use
      for (const auto& part : files_) part->check_unchanged();
    if (rows_expected_) {
      check_rows();
    } else if (window_) {
      sums_.add(*window_);
    } else {
      at_end_(sums_, reader_.counts());
    }
    return window_ ? &*window_ : nullptr;
  }

 private:
  struct Closed {};

  void check_rows() {
    rows_ += window_ ? window_->rows() : 0;
    if (rows_ > *rows_expected_ || (!window_ && rows_ != *rows_expected_))
      throw InputError("the files hold other rows than they did: the data were changed after training began");
  }

  void wait() {
    constexpr std::chrono::milliseconds kBetweenCalls{50};
    const auto there = [this] { return ready_ || finished_; };
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kBetweenCalls, there)) {
      if (!options_.while_waiting) continue;
      lock.unlock();
      options_.while_waiting();
      lock.lock();
    }
  }

  void read() {
    std::exception_ptr failure;
    try {
      const auto unless_closing = [this] {
        if (closing_) throw Closed();
      };
      while (std::optional<Shard> window = reader_.next(unless_closing)) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !ready_ || closing_; });
        if (closing_) return;
        ready_ = std::move(window);
        changed_.notify_all();
      }
    } catch (const Closed&) {
      return;
    } catch (...) {
      failure = std::current_exception();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_ || closing_; });
    failure_ = failure;
    finished_ = true;
    changed_.notify_all();
  }

  const StreamOptions options_;
  const std::optional<std::size_t> rows_expected_;
  const EndOfRead at_end_;
  const Files files_;
  WindowSums sums_;
  std::size_t rows_ = 0;
  std::optional<Shard> window_;  // in use
  WindowReader reader_;          // the thread's
  std::atomic<bool> closing_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::optional<Shard> ready_;
  bool finished_ = false;
  std::exception_ptr failure_;

  std::thread thread_;  // last: it uses all of the above
};

// Of no rows yet, with the kind and columns that the encoding says.
Shard no_rows(const Encoding& encoding) {
  const std::size_t columns = encoding.feature_count();
  Shard shard;
  if (encoding.format == Format::libsvm || expects_sparse(encoding)) {
    shard.matrix = SparseMatrix{0, columns, {0}, {}, AlignedVector<float>()};
  } else {
    shard.matrix = DenseMatrix{0, columns, AlignedVector<float>()};
  }
  return shard;
}

}  // namespace

StreamedRows::StreamedRows(const LoadRequest& request, const Encoding& encoding, int parts,
                           const StreamOptions& options)
    : request_(request), encoding_(encoding), parts_(parts), options_(options) {
  clear();
}

StreamedRows::~StreamedRows() = default;

void StreamedRows::clear() {
  files_.clear();
  head_ = no_rows(encoding_);
  shape_ = shape_of(head_);
  weight_ = 0;
  counts_ = {};
  unread_ = false;
}

void StreamedRows::note_head(const Shard& window) {
  if (head_.rows() == kHeadRows) return;
  Shard more = slice_rows(window, 0, std::min(window.rows(), kHeadRows - head_.rows()));
  if (head_.rows() == 0) {
    head_ = std::move(more);
  } else {
    append_rows(head_, std::move(more));
  }
}

void StreamedRows::take_sums(const WindowSums& sums, const ReadCounts& counts) {
  shape_.rows += sums.shape.rows;
  shape_.entries += sums.shape.entries;
  shape_.beside += sums.shape.beside;
  shape_.value_bytes = std::max(shape_.value_bytes, sums.shape.value_bytes);
  weight_ += sums.weight;
  shape_.weight = static_cast<double>(weight_);
  counts_.add(counts);
}

void StreamedRows::add(int part) {
  const auto tick = options_.while_waiting ? options_.while_waiting : [] {};
  auto files = std::make_shared<const PartFiles>(request_, encoding_, part, parts_, tick);
  WindowReader reader({files}, 1, options_.window_bytes);
  WindowSums sums;
  while (const std::optional<Shard> window = reader.next(tick)) {
    note_head(*window);
    sums.add(*window);
  }
  take_sums(sums, reader.counts());
  files_.push_back(std::move(files));
}

void StreamedRows::add_unread(const PartPlan& plan) {
  constexpr std::size_t kBlockBytes = std::size_t{256} << 10;
  auto files = std::make_shared<const PartFiles>(request_, encoding_, plan);
  {
    const std::unique_ptr<PartReader> reader = files->open(kBlockBytes);
    while (head_.rows() < kHeadRows && reader->stage()) note_head(reader->take());
  }
  release_free_memory();  // of a reader, before another is there
  files_.push_back(std::move(files));
  unread_ = true;
}

void StreamedRows::add_cached(const PartPlan& plan) {
  add_unread(plan);
  unread_ = false;
  take_sums({plan.cache->shape(), plan.cache->shape().weight}, {});
}

std::string StreamedRows::set_aside() {
  constexpr std::uint64_t kKey = 0;
  TemporaryFile file(static_cast<std::uint64_t>(shape_.bytes()));
  Dataset told;
  told.encoding = encoding_;
  write_row_cache([&](std::uint64_t offset, std::string_view bytes) { file.write_at(offset, bytes); }, kKey, told,
                  *this, options_.while_waiting ? options_.while_waiting : [] {});
  PartPlan plan;
  plan.cache = RowCache::map(file.release(), file.directory(), kKey);
  if (!plan.cache) throw NoTemporaryFile(fmt::format("{}: its files can not be mapped", file.directory()));
  files_ = {std::make_shared<const PartFiles>(request_, encoding_, plan)};
  return file.directory();
}

std::unique_ptr<RowPass> StreamedRows::begin(std::size_t align) {
  if (!unread_) return std::make_unique<ReadAhead>(files_, align, shape_.rows, options_, nullptr);
  const auto at_end = [this](const WindowSums& sums, const ReadCounts& counts) {
    take_sums(sums, counts);
    unread_ = false;
  };
  return std::make_unique<ReadAhead>(files_, align, std::nullopt, options_, at_end);
}

}  // namespace muster
