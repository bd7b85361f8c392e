#include "data/row_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/atomic_file.h"
#include "data/agree.h"
#include "data/encoding_bytes.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr std::string_view kMagic = kRowCacheForm;
constexpr double kBlockBytes = 4e6;

// Four lanes of multiplications by odd constants, so that a processor runs them side by side: for damage, not for
// malice.
std::uint64_t checksum(std::string_view bytes) {
  std::array<std::uint64_t, 4> lanes = {1, 2, 3, bytes.size()};
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15;
  const auto mix = [&](std::size_t lane, std::uint64_t word) {
    lanes[lane] = std::rotl((lanes[lane] ^ word) * kFactor, 29);
  };
  std::size_t at = 0;
  std::array<std::uint64_t, 4> words;
  for (; at + sizeof words <= bytes.size(); at += sizeof words) {
    std::memcpy(words.data(), bytes.data() + at, sizeof words);
    for (std::size_t lane = 0; lane < 4; ++lane) mix(lane, words[lane]);
  }
  for (; at < bytes.size(); ++at) mix(at % 4, static_cast<unsigned char>(bytes[at]));
  for (std::size_t lane = 1; lane < 4; ++lane) mix(0, lanes[lane]);
  return lanes[0] ^ (lanes[0] >> 32);
}

// What stands before a block's arrays.
struct BlockHead {
  std::uint64_t bytes = 0;     // of what follows
  std::uint64_t checksum = 0;  // of that and of this
  std::uint64_t rows = 0, entries = 0, targets = 0, weights = 0, offsets = 0, folds = 0;
  std::uint64_t sparse = 0, single = 0;
};

std::uint64_t checksum_of(BlockHead head, std::string_view bytes) {
  head.checksum = checksum(bytes);
  return checksum({reinterpret_cast<const char*>(&head), sizeof head});
}

// And at the end of the file.
struct Tail {
  std::uint64_t bytes = 0, checksum = 0;  // of the text before it
  std::uint64_t blocks_end = 0;           // where that begins
  char magic[16] = {};
};

// Calls use(array) for the block's arrays in their order, sized by its head.
template <class Use>
void each_array(Shard& shard, const BlockHead& head, Use use) {
  const auto values = [&](auto& matrix) {
    if (head.single) {
      use(matrix.values.template emplace<AlignedVector<float>>(), head.entries);
    } else {
      use(matrix.values.template emplace<AlignedVector<double>>(), head.entries);
    }
  };
  if (head.sparse) {
    auto& matrix = shard.matrix.emplace<SparseMatrix>();
    use(matrix.row_begin, head.rows + 1);
    values(matrix);
    use(matrix.columns, head.entries);
  } else {
    values(shard.matrix.emplace<DenseMatrix>());
  }
  use(shard.targets, head.targets);
  use(shard.weights, head.weights);
  use(shard.offsets, head.offsets);
  use(shard.folds, head.folds);
}

template <class T>
void put_array(std::string& bytes, const AlignedVector<T>& values) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// How many bytes.
std::uint64_t write_block(const Shard& rows, AtomicFile& file) {
  BlockHead head;
  std::string bytes;
  head.rows = rows.rows();
  const auto values = [&](const auto& matrix) {
    std::visit(
        [&](const auto& v) {
          head.entries = v.size();
          head.single = sizeof(v[0]) == sizeof(float);
          put_array(bytes, v);
        },
        matrix.values);
  };
  if (const auto* sparse = std::get_if<SparseMatrix>(&rows.matrix)) {
    head.sparse = 1;
    put_array(bytes, sparse->row_begin);
    values(*sparse);
    put_array(bytes, sparse->columns);
  } else {
    values(std::get<DenseMatrix>(rows.matrix));
  }
  head.targets = rows.targets.size();
  head.weights = rows.weights.size();
  head.offsets = rows.offsets.size();
  head.folds = rows.folds.size();
  for (const auto* beside : {&rows.targets, &rows.weights, &rows.offsets, &rows.folds}) put_array(bytes, *beside);
  head.bytes = bytes.size();
  head.checksum = checksum_of(head, bytes);
  file.write({reinterpret_cast<const char*>(&head), sizeof head});
  file.write(bytes);
  return sizeof head + bytes.size();
}

}  // namespace

// An open cache, read from its beginning.
class CacheFile {
 public:
  explicit CacheFile(const std::string& path) : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status {};
    if (file_ >= 0 && fstat(file_, &status) == 0) size_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~CacheFile() {
    if (file_ >= 0) close(file_);
  }
  CacheFile(CacheFile&& other) noexcept
      : path_(std::move(other.path_)),
        file_(std::exchange(other.file_, -1)),
        size_(other.size_),
        at_(other.at_),
        blocks_end_(other.blocks_end_),
        intact_(other.intact_) {}
  CacheFile& operator=(CacheFile&&) = delete;

  // Finds the end of the blocks, and what is told behind it; false where this is not a whole cache of that key.
  bool read_end(std::uint64_t key, RowCache& into) {
    Tail tail;
    if (size_ < sizeof tail || !read(size_ - sizeof tail, &tail, sizeof tail)) return false;
    if (std::string_view(tail.magic, sizeof tail.magic) != kMagic) return false;
    if (tail.blocks_end > size_ || tail.bytes != size_ - sizeof tail - tail.blocks_end) return false;
    std::string text(tail.bytes, '\0');
    if (!read(tail.blocks_end, text.data(), text.size()) || checksum(text) != tail.checksum) return false;
    blocks_end_ = tail.blocks_end;
    Unpacker from(text);
    if (from.number() != key) return false;
    RowShape& shape = into.shape_;
    shape.rows = from.number();
    shape.cols = from.number();
    shape.sparse = from.number() != 0;
    shape.has_targets = from.number() != 0;
    shape.entries = from.number();
    shape.value_bytes = from.number();
    shape.beside = from.number();
    shape.weight = from.real();
    into.encoding_ = unpack_encoding(from);
    into.summary_ = unpack_summary(from);
    into.powers_ = unpack_powers(from);
    return true;
  }

  // The next block into `bytes`; false at their end. Damage is said by intact().
  bool next(BlockHead& head, std::string& bytes) {
    if (at_ == blocks_end_) return false;
    intact_ = blocks_end_ - at_ >= sizeof head && read(at_, &head, sizeof head) &&
              head.bytes <= blocks_end_ - at_ - sizeof head;
    if (!intact_) return false;
    bytes.resize(head.bytes);
    intact_ = read(at_ + sizeof head, bytes.data(), bytes.size()) && checksum_of(head, bytes) == head.checksum;
    at_ += sizeof head + head.bytes;
    return intact_;
  }
  bool intact() const { return intact_; }

  [[noreturn]] void throw_changed() const {
    throw InputError(fmt::format("{}: the cache is not what it was: it was changed during the run", path_));
  }

 private:
  bool read(std::uint64_t at, void* into, std::size_t bytes) const {
    auto* to = static_cast<char*>(into);
    while (bytes > 0) {
      const ssize_t got = pread(file_, to, bytes, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got;
      at += static_cast<std::uint64_t>(got);
      bytes -= static_cast<std::size_t>(got);
    }
    return true;
  }

  std::string path_;
  int file_;
  std::uint64_t size_ = 0, at_ = 0, blocks_end_ = 0;
  bool intact_ = true;
};

namespace {

void set_size(Shard& shard, std::size_t rows, std::size_t cols) {
  std::visit(
      [&](auto& matrix) {
        matrix.rows = rows;
        matrix.cols = cols;
      },
      shard.matrix);
}

Shard make_block(const BlockHead& head, const std::string& bytes, Shard rows) {
  const std::size_t cols = rows.cols();
  const char* from = bytes.data();
  each_array(rows, head, [&](auto& array, std::uint64_t count) {
    array.resize(count);
    const std::size_t size = count * sizeof(array[0]);
    if (size > 0) std::memcpy(array.data(), from, size);
    from += size;
  });
  set_size(rows, head.rows, cols);
  return rows;
}

class CachedPart final : public PartReader {
 public:
  CachedPart(CacheFile file, const RowCache& cache) : file_(std::move(file)), cache_(cache) {}

  bool stage() override {
    BlockHead head;
    if (!file_.next(head, bytes_)) {
      if (!file_.intact()) file_.throw_changed();
      return false;
    }
    Shard block = make_block(head, bytes_, cache_.no_rows());
    rows_read_ += static_cast<std::int64_t>(block.rows());
    staged_bytes_ += shape_of(block).bytes();
    append_rows(staged_, std::move(block));
    return true;
  }
  double staged_bytes() const override { return staged_bytes_; }
  Shard take() override {
    staged_bytes_ = 0;
    return std::exchange(staged_, cache_.no_rows());
  }
  ReadCounts counts() const override { return {rows_read_, rows_read_, 0}; }

 private:
  CacheFile file_;
  const RowCache& cache_;
  std::string bytes_;
  Shard staged_ = cache_.no_rows();
  double staged_bytes_ = 0;
  std::int64_t rows_read_ = 0;
};

// Puts a block's rows at their place among all. Floats become doubles where others are.
void place(const Shard& block, std::size_t row, std::size_t entry, Shard& all) {
  const auto copy = [](const auto& from, auto& to, std::size_t at) {
    std::copy(from.begin(), from.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const auto copy_values = [&](const auto& from, auto& to) {
    std::visit([&](const auto& f) { std::visit([&](auto& t) { copy(f, t, entry); }, to.values); }, from.values);
  };
  if (const auto* sparse = std::get_if<SparseMatrix>(&block.matrix)) {
    auto& to = std::get<SparseMatrix>(all.matrix);
    copy_values(*sparse, to);
    copy(sparse->columns, to.columns, entry);
    for (std::size_t i = 0; i <= sparse->rows; ++i) to.row_begin[row + i] = entry + sparse->row_begin[i];
  } else {
    copy_values(std::get<DenseMatrix>(block.matrix), std::get<DenseMatrix>(all.matrix));
  }
  copy(block.targets, all.targets, row);
  copy(block.weights, all.weights, row);
  copy(block.offsets, all.offsets, row);
  copy(block.folds, all.folds, row);
}

}  // namespace

Shard RowCache::no_rows() const {
  Shard none;
  if (shape_.sparse) {
    none.matrix = SparseMatrix{0, shape_.cols, {0}, {}, AlignedVector<float>()};
  } else {
    none.matrix = DenseMatrix{0, shape_.cols, AlignedVector<float>()};
  }
  none.powers = powers_;
  return none;
}

std::unique_ptr<const RowCache> RowCache::open(const std::string& path, std::uint64_t key,
                                               const std::function<void()>& progress) {
  auto cache = std::make_unique<RowCache>();
  cache->path_ = path;
  cache->key_ = key;
  CacheFile file(path);
  if (!file.read_end(key, *cache)) return nullptr;
  BlockHead head;
  std::string bytes;
  while (file.next(head, bytes)) progress();
  return file.intact() ? std::move(cache) : nullptr;
}

CacheFile RowCache::open_again() const {
  CacheFile file(path_);
  RowCache same;
  if (!file.read_end(key_, same)) file.throw_changed();
  return file;
}

std::unique_ptr<PartReader> RowCache::reader() const {
  return std::make_unique<CachedPart>(open_again(), *this);
}

Shard RowCache::rows(const std::function<void()>& progress) const {
  Shard all = no_rows();
  BlockHead head;
  head.rows = shape_.rows;
  head.entries = shape_.entries;
  head.targets = shape_.has_targets ? shape_.rows : 0;
  head.weights = encoding_.weight.empty() ? 0 : shape_.rows;
  head.offsets = encoding_.offset.empty() ? 0 : shape_.rows;
  head.folds = encoding_.loaded_from.folds.empty() ? 0 : shape_.rows;
  head.sparse = shape_.sparse;
  head.single = shape_.value_bytes == sizeof(float);
  each_array(all, head, [](auto& array, std::uint64_t count) { array.resize(count); });
  set_size(all, shape_.rows, shape_.cols);
  if (shape_.sparse) std::get<SparseMatrix>(all.matrix).row_begin[0] = 0;
  CacheFile file = open_again();
  std::string bytes;
  std::size_t row = 0, entry = 0;
  while (file.next(head, bytes)) {
    place(make_block(head, bytes, no_rows()), row, entry, all);
    row += head.rows;
    entry += head.entries;
    progress();
  }
  if (!file.intact() || row != shape_.rows) file.throw_changed();
  return all;
}

void write_row_cache(const std::string& path, std::uint64_t key, const Dataset& data, RowSource& rows,
                     const std::function<void()>& progress) {
  AtomicFile file(path);
  std::uint64_t written = 0;
  const double row_bytes =
      std::max(1.0, rows.shape().bytes() / static_cast<double>(std::max<std::size_t>(rows.shape().rows, 1)));
  const auto block_rows = static_cast<std::size_t>(std::max(1.0, kBlockBytes / row_bytes));
  {
    const std::unique_ptr<RowPass> pass = rows.begin(1);
    while (const Shard* window = pass->next()) {
      for (std::size_t begin = 0; begin < window->rows(); begin += block_rows) {
        written += write_block(slice_rows(*window, begin, std::min(window->rows(), begin + block_rows)), file);
        progress();
      }
    }
  }
  Packer packer;
  const RowShape& shape = rows.shape();
  for (const std::uint64_t n : {key, std::uint64_t{shape.rows}, std::uint64_t{shape.cols}, std::uint64_t{shape.sparse},
                                std::uint64_t{shape.has_targets}, std::uint64_t{shape.entries},
                                std::uint64_t{shape.value_bytes}, std::uint64_t{shape.beside}})
    packer.number(n);
  packer.real(shape.weight);
  pack(data.encoding, packer);
  pack(data.summary, packer);
  pack(rows.head().powers, packer);
  const std::string text = packer.take();
  Tail tail{text.size(), checksum(text), written, {}};
  std::memcpy(tail.magic, kMagic.data(), sizeof tail.magic);
  file.write(text);
  file.write({reinterpret_cast<const char*>(&tail), sizeof tail});
  file.commit();
}

}  // namespace muster
