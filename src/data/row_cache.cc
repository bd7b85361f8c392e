#include "data/row_cache.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/descriptor.h"
#include "data/agree.h"
#include "data/checksum.h"
#include "data/encoding_bytes.h"
#include "data/mapped_file.h"

namespace muster {
namespace {

constexpr std::size_t kPiece = std::size_t{4} << 20;  // between two calls of progress
constexpr std::uint64_t kLine = 64;

// At the end of the file.
struct Tail {
  std::uint64_t bytes = 0, checksum = 0;  // of the text before it
  char magic[16] = {};
};

std::span<const std::byte> bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Keeps a window's rows where they lie; they are given back in the end.
struct RowsRead {
  std::shared_ptr<const MappedFile> file;
  std::vector<std::span<const std::byte>> stretches;

  RowsRead(std::shared_ptr<const MappedFile> in, std::vector<std::span<const std::byte>> read)
      : file(std::move(in)), stretches(std::move(read)) {
    for (const auto& bytes : stretches) MappedFile::fetch(bytes);
  }
  ~RowsRead() {
    for (const auto& bytes : stretches) MappedFile::release(bytes);
  }
  RowsRead(const RowsRead&) = delete;
  RowsRead& operator=(const RowsRead&) = delete;
};

}  // namespace

RowCache::Sections RowCache::sections_of(const RowShape& shape, const Encoding& encoding) {
  Sections sections;
  const auto beside = [&](bool there) { return there ? shape.rows : 0; };
  sections.size[row_begin] = shape.sparse ? shape.rows + 1 : 0;
  sections.size[values] = shape.entries;
  sections.size[columns] = shape.sparse ? shape.entries : 0;
  sections.size[targets] = beside(shape.has_targets);
  sections.size[weights] = beside(!encoding.weight.empty());
  sections.size[offsets] = beside(!encoding.offset.empty());
  sections.size[folds] = beside(!encoding.loaded_from.folds.empty());
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint64_t bytes = sections.size[s] * (s == values    ? shape.value_bytes
                                                    : s == columns ? sizeof(std::uint32_t)
                                                                   : sizeof(double));
    sections.begin[s + 1] = sections.begin[s] + (bytes + kLine - 1) / kLine * kLine;
  }
  return sections;
}

// False where this is not a whole cache of that key; the arrays are not looked at.
bool RowCache::read_end(std::uint64_t key) {
  const std::span<const std::byte> all = file_->bytes();
  Tail tail;
  if (all.size() < sizeof tail) return false;
  std::memcpy(&tail, all.last(sizeof tail).data(), sizeof tail);
  const std::size_t before = all.size() - sizeof tail;
  if (std::string_view(tail.magic, sizeof tail.magic) != kRowCacheForm || tail.bytes > before) return false;
  const std::span<const std::byte> text = all.subspan(before - tail.bytes, tail.bytes);
  if (checksum_of(text) != tail.checksum) return false;
  Unpacker from({reinterpret_cast<const char*>(text.data()), text.size()});
  if (from.number() != key) return false;
  shape_.rows = from.number();
  shape_.cols = from.number();
  shape_.sparse = from.number() != 0;
  shape_.has_targets = from.number() != 0;
  shape_.entries = from.number();
  shape_.value_bytes = from.number();
  shape_.beside = from.number();
  shape_.weight = from.real();
  encoding_ = unpack_encoding(from);
  summary_ = unpack_summary(from);
  powers_ = unpack_powers(from);
  for (std::uint64_t& sum : checksums_) sum = from.number();
  sections_ = sections_of(shape_, encoding_);
  return sections_.begin[count] == before - tail.bytes;
}

std::shared_ptr<const RowCache> RowCache::map(Descriptor file, std::string name, std::uint64_t key) {
  auto cache = std::make_shared<RowCache>();
  cache->file_ = MappedFile::map(std::move(file), std::move(name));
  return cache->file_ && cache->read_end(key) ? std::move(cache) : nullptr;
}

std::shared_ptr<const RowCache> RowCache::open(const std::string& path, std::uint64_t key,
                                               const std::function<void()>& progress) {
  std::shared_ptr<const RowCache> cache = map(Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path, key);
  return cache && cache->intact(progress) ? std::move(cache) : nullptr;
}

bool RowCache::intact(const std::function<void()>& progress) const {
  const std::span<const std::byte> all = file_->bytes();
  for (std::size_t s = 0; s < count; ++s) {
    Checksum sum;
    for (std::uint64_t at = sections_.begin[s]; at < sections_.begin[s + 1]; at += kPiece) {
      const auto piece = all.subspan(at, std::min<std::uint64_t>(kPiece, sections_.begin[s + 1] - at));
      MappedFile::expect(all.subspan(at, std::min<std::uint64_t>(2 * kPiece, all.size() - at)));
      sum.add(piece);
      MappedFile::release(piece);
      progress();
    }
    if (sum.value() != checksums_[s]) return false;
  }
  return true;
}

template <class T>
const T* RowCache::at(Section section) const {
  return reinterpret_cast<const T*>(file_->bytes().data() + sections_.begin[section]);
}

void RowCache::check_unchanged() const {
  file_->check_unchanged();
}

Shard RowCache::no_rows() const {
  Shard none;
  if (shape_.sparse) {
    none.matrix = SparseMatrix{0, shape_.cols, {0}, {}, RowArray<float>()};
  } else {
    none.matrix = DenseMatrix{0, shape_.cols, RowArray<float>()};
  }
  none.powers = powers_;
  return none;
}

Shard RowCache::rows_between(std::size_t begin, std::size_t end, const std::shared_ptr<const void>& keeper) const {
  const auto* starts = shape_.sparse ? at<std::uint64_t>(row_begin) : nullptr;
  const std::size_t first = shape_.sparse ? starts[begin] : begin * shape_.cols;
  const std::size_t last = shape_.sparse ? starts[end] : end * shape_.cols;
  const auto seen = [&]<class T>(Section section, std::size_t from, std::size_t to, T) {
    return RowArray<T>::seen({at<T>(section) + from, to - from}, keeper);
  };
  const auto put_values = [&](auto& matrix) {
    if (shape_.value_bytes == sizeof(float)) {
      matrix.values = seen(values, first, last, float());
    } else {
      matrix.values = seen(values, first, last, double());
    }
  };
  Shard shard;
  if (shape_.sparse) {
    auto& matrix = shard.matrix.emplace<SparseMatrix>();
    matrix.row_begin = seen(row_begin, begin, end + 1, std::uint64_t());
    if (first > 0)
      for (std::uint64_t& start : matrix.row_begin) start -= first;
    matrix.columns = seen(columns, first, last, std::uint32_t());
    put_values(matrix);
  } else {
    put_values(shard.matrix.emplace<DenseMatrix>());
  }
  std::visit(
      [&](auto& matrix) {
        matrix.rows = end - begin;
        matrix.cols = shape_.cols;
      },
      shard.matrix);
  shard.powers = powers_;
  const auto put = [&](RowArray<double>& array, Section section) {
    if (sections_.size[section] > 0) array = seen(section, begin, end, double());
  };
  put(shard.targets, targets);
  put(shard.weights, weights);
  put(shard.offsets, offsets);
  put(shard.folds, folds);
  return shard;
}

Shard RowCache::rows() const {
  Shard all = rows_between(0, shape_.rows, file_);
  all.seen_in = file_;
  return all;
}

std::vector<std::span<const std::byte>> RowCache::stretches(std::size_t begin, std::size_t end) const {
  const auto* starts = shape_.sparse ? at<std::uint64_t>(row_begin) : nullptr;
  const std::size_t first = shape_.sparse ? starts[begin] : begin * shape_.cols;
  const std::size_t last = shape_.sparse ? starts[end] : end * shape_.cols;
  std::vector<std::span<const std::byte>> found;
  const auto add = [&](Section section, std::size_t from, std::size_t to, std::size_t size) {
    if (sections_.size[section] == 0 || from == to) return;
    found.push_back(file_->bytes().subspan(sections_.begin[section] + from * size, (to - from) * size));
  };
  add(row_begin, begin, end + 1, sizeof(std::uint64_t));
  add(values, first, last, shape_.value_bytes);
  add(columns, first, last, sizeof(std::uint32_t));
  for (const Section beside : {targets, weights, offsets, folds}) add(beside, begin, end, sizeof(double));
  return found;
}

Shard RowCache::rows_read(std::size_t begin, std::size_t end) const {
  const auto read = std::make_shared<const RowsRead>(file_, stretches(begin, end));
  for (const auto& bytes : stretches(end, std::min(shape_.rows, 2 * end - begin))) MappedFile::expect(bytes);
  return rows_between(begin, end, read);
}

double RowCache::bytes_of(std::size_t begin, std::size_t end) const {
  double bytes = 0;
  for (const auto& stretch : stretches(begin, end)) bytes += static_cast<double>(stretch.size());
  return bytes;
}

namespace {

class CachedPart final : public PartReader {
 public:
  CachedPart(std::shared_ptr<const RowCache> cache, std::size_t block_rows)
      : cache_(std::move(cache)), block_rows_(block_rows) {}

  bool stage() override {
    const std::size_t rows = cache_->shape().rows;
    if (end_ == rows) return false;
    end_ += std::min(block_rows_, rows - end_);
    return true;
  }
  double staged_bytes() const override { return cache_->bytes_of(begin_, end_); }
  Shard take() override {
    if (begin_ == end_) return cache_->no_rows();
    return cache_->rows_read(std::exchange(begin_, end_), end_);
  }
  ReadCounts counts() const override {
    const auto rows = static_cast<std::int64_t>(end_);
    return {rows, rows, 0};
  }

 private:
  std::shared_ptr<const RowCache> cache_;
  std::size_t block_rows_;
  std::size_t begin_ = 0, end_ = 0;  // of what is staged
};

}  // namespace

std::unique_ptr<PartReader> read_cached(std::shared_ptr<const RowCache> cache, std::size_t block_bytes,
                                        std::size_t align) {
  const RowShape& shape = cache->shape();
  const double row_bytes = std::max(1.0, shape.bytes() / static_cast<double>(std::max<std::size_t>(shape.rows, 1)));
  const auto rows = static_cast<std::size_t>(static_cast<double>(block_bytes) / row_bytes);
  align = std::max<std::size_t>(align, 1);
  return std::make_unique<CachedPart>(std::move(cache), std::max<std::size_t>(rows / align, 1) * align);
}

// Writes the sections window by window, side by side.
class RowCacheWriter {
 public:
  RowCacheWriter(const WriteAt& write_at, const RowShape& shape, const Encoding& encoding,
                 const std::function<void()>& progress)
      : write_at_(write_at), shape_(shape), progress_(progress), sections_(RowCache::sections_of(shape, encoding)) {
    std::copy_n(sections_.begin, RowCache::count, at_);
  }

  void add(const Shard& window) {
    if (const auto* sparse = std::get_if<SparseMatrix>(&window.matrix)) {
      add_starts(sparse->row_begin);
      add_values(sparse->values);
      put<std::uint32_t>(RowCache::columns, sparse->columns);
    } else {
      add_values(std::get<DenseMatrix>(window.matrix).values);
    }
    put<double>(RowCache::targets, window.targets);
    put<double>(RowCache::weights, window.weights);
    put<double>(RowCache::offsets, window.offsets);
    put<double>(RowCache::folds, window.folds);
  }

  // What stands behind the sections: text, to be written with checksums of them added.
  void finish(Packer packer) {
    if (shape_.sparse && shape_.rows == 0) put<std::uint64_t>(RowCache::row_begin, RowArray<std::uint64_t>{0});
    const std::byte zeros[kLine] = {};
    for (std::size_t s = 0; s < RowCache::count; ++s) {
      sums_[s].add(std::span(zeros).first(sections_.begin[s + 1] - at_[s]));
      packer.number(sums_[s].value());
    }
    const std::string text = packer.take();
    Tail tail{text.size(), checksum_of(bytes_of_text(text)), {}};
    std::memcpy(tail.magic, kRowCacheForm.data(), sizeof tail.magic);
    write_at_(sections_.begin[RowCache::count], text);
    write_at_(sections_.begin[RowCache::count] + text.size(), {reinterpret_cast<const char*>(&tail), sizeof tail});
  }

 private:
  void write(std::size_t section, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), kPiece));
      sums_[section].add(piece);
      write_at_(at_[section], {reinterpret_cast<const char*>(piece.data()), piece.size()});
      at_[section] += piece.size();
      bytes = bytes.subspan(piece.size());
      progress_();
    }
  }
  // Elements as those of the section, which may be wider.
  template <class To, class From>
  void put(std::size_t section, const RowArray<From>& elements) {
    if constexpr (std::is_same_v<To, From>) {
      write(section, std::as_bytes(std::span<const To>(elements)));
    } else {
      constexpr std::size_t kElements = kPiece / sizeof(To);
      for (std::size_t begin = 0; begin < elements.size(); begin += kElements) {
        const From* from = elements.data() + begin;
        const std::vector<To> wide(from, from + std::min(kElements, elements.size() - begin));
        write(section, std::as_bytes(std::span(wide)));
      }
    }
  }
  void add_values(const decltype(DenseMatrix::values)& values) {
    if (shape_.value_bytes == sizeof(float)) {
      put<float>(RowCache::values, std::get<RowArray<float>>(values));
    } else {
      std::visit([&](const auto& elements) { put<double>(RowCache::values, elements); }, values);
    }
  }
  void add_starts(const RowArray<std::uint64_t>& row_begin) {
    const bool first = at_[RowCache::row_begin] == sections_.begin[RowCache::row_begin];
    AlignedVector<std::uint64_t> starts(row_begin.begin() + (first ? 0 : 1), row_begin.end());
    for (std::uint64_t& start : starts) start += entries_;
    entries_ += row_begin[row_begin.size() - 1];
    put<std::uint64_t>(RowCache::row_begin, RowArray<std::uint64_t>(std::move(starts)));
  }

  const WriteAt& write_at_;
  const RowShape& shape_;
  const std::function<void()>& progress_;
  RowCache::Sections sections_;
  std::uint64_t at_[RowCache::count] = {};  // where a section goes on
  Checksum sums_[RowCache::count];
  std::uint64_t entries_ = 0;
};

void write_row_cache(const WriteAt& write_at, std::uint64_t key, const Dataset& data, RowSource& rows,
                     const std::function<void()>& progress) {
  const RowShape shape = rows.shape();
  RowCacheWriter writer(write_at, shape, data.encoding, progress);
  const std::unique_ptr<RowPass> pass = rows.begin(1);
  while (const Shard* window = pass->next()) writer.add(*window);
  Packer packer;
  for (const std::uint64_t n : {key, std::uint64_t{shape.rows}, std::uint64_t{shape.cols}, std::uint64_t{shape.sparse},
                                std::uint64_t{shape.has_targets}, std::uint64_t{shape.entries},
                                std::uint64_t{shape.value_bytes}, std::uint64_t{shape.beside}})
    packer.number(n);
  packer.real(shape.weight);
  pack(data.encoding, packer);
  pack(data.summary, packer);
  pack(rows.head().powers, packer);
  writer.finish(std::move(packer));
}

}  // namespace muster
