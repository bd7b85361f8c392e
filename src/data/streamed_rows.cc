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

#include "data/encode.h"
#include "data/part_reader.h"
#include "muster/error.h"

namespace muster {
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
      if (!reader_) reader_ = files_[part_]->open(block_bytes());
      bool more = true;
      while (more && reader_->staged_bytes() < window_bytes_) {
        before_reading();
        more = reader_->stage();
      }
      add(reader_->take());
      if (!more) {
        reader_.reset();
        files_[part_++]->check_unchanged();
      }
      const std::size_t whole = rest_ ? rest_->rows() / align_ * align_ : 0;
      if (part_ < files_.size() && whole > 0) return cut(whole);
    }
    if (!rest_ || rest_->rows() == 0) return std::nullopt;
    return std::exchange(rest_, std::nullopt);
  }

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
    Shard window = slice_rows(*rest_, 0, rows);
    rest_ = slice_rows(*rest_, rows, all);
    return window;
  }

  Files files_;
  std::size_t align_;
  double window_bytes_;
  std::size_t part_ = 0;
  std::unique_ptr<PartReader> reader_;
  std::optional<Shard> rest_;  // rows that are not yet in a window
};

// A thread reads one window ahead.
class ReadAhead final : public RowPass {
 public:
  ReadAhead(Files files, std::size_t align, std::size_t rows, const StreamOptions& options)
      : options_(options),
        rows_expected_(rows),
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
    wait();
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    window_ = std::exchange(ready_, std::nullopt);
    changed_.notify_all();
    rows_ += window_ ? window_->rows() : 0;
    if (rows_ > rows_expected_ || (!window_ && rows_ != rows_expected_))
      throw InputError("the files hold other rows than they did: the data were changed after training began");
    return window_ ? &*window_ : nullptr;
  }

 private:
  struct Closed {};

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
  const std::size_t rows_expected_;
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

void StreamedRows::add(int part) {
  const auto tick = options_.while_waiting ? options_.while_waiting : [] {};
  auto files = std::make_shared<const PartFiles>(request_, encoding_, part, parts_, tick);
  WindowReader reader({files}, 1, options_.window_bytes);
  while (const std::optional<Shard> window = reader.next(tick)) {
    note_head(*window);
    const RowShape added = shape_of(*window);
    shape_.rows += added.rows;
    shape_.entries += added.entries;
    shape_.beside += added.beside;
    shape_.value_bytes = std::max(shape_.value_bytes, added.value_bytes);
    if (window->weights.empty()) {
      weight_ += added.weight;
    } else {
      for (const double weight : window->weights) weight_ += weight;
    }
  }
  shape_.weight = static_cast<double>(weight_);
  files_.push_back(std::move(files));
}

std::unique_ptr<RowPass> StreamedRows::begin(std::size_t align) {
  return std::make_unique<ReadAhead>(files_, align, shape_.rows, options_);
}

}  // namespace muster
