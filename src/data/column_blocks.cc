#include "data/column_blocks.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

template <class T>
DenseMatrix columns_of(const DenseMatrix& matrix, const RowArray<T>& values, std::size_t begin, std::size_t end) {
  const std::size_t cols = end - begin;
  AlignedVector<T> kept(matrix.rows * cols);
  for (std::size_t i = 0; i < matrix.rows; ++i)
    std::copy_n(values.data() + i * matrix.cols + begin, cols, kept.data() + i * cols);
  return {matrix.rows, cols, std::move(kept)};
}

template <class T>
SparseMatrix columns_of(const SparseMatrix& matrix, const RowArray<T>& values, std::size_t begin, std::size_t end) {
  SparseMatrix kept{matrix.rows, end - begin, {}, {}, {}};
  AlignedVector<T> kept_values;
  kept.row_begin.reserve(matrix.rows + 1);
  kept.row_begin.push_back(0);
  const auto* columns = matrix.columns.data();
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    const auto* row_end = columns + matrix.row_begin[i + 1];
    const auto* from = std::lower_bound(columns + matrix.row_begin[i], row_end, begin);
    const auto* to = std::lower_bound(from, row_end, end);
    for (const auto* at = from; at < to; ++at) {
      kept.columns.push_back(static_cast<std::uint32_t>(*at - begin));
      kept_values.push_back(values[static_cast<std::size_t>(at - columns)]);
    }
    kept.row_begin.push_back(kept.columns.size());
  }
  kept.values = std::move(kept_values);
  return kept;
}

// Whether every value there is stored as float.
bool all_single(const std::vector<Shard>& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const Shard& part) {
    return std::visit(
        [](const auto& matrix) {
          const auto* wide = std::get_if<RowArray<double>>(&matrix.values);
          return wide == nullptr || wide->empty();
        },
        part.matrix);
  });
}

template <class T>
DenseMatrix dense_together(const std::vector<Shard>& parts, std::size_t cols) {
  const std::size_t rows = parts[0].rows();
  AlignedVector<T> together(rows * cols);
  std::size_t first = 0;
  for (const Shard& part : parts) {
    const auto& matrix = std::get<DenseMatrix>(part.matrix);
    std::visit(
        [&](const auto& values) {
          for (std::size_t i = 0; i < rows; ++i)
            std::transform(values.data() + i * matrix.cols, values.data() + (i + 1) * matrix.cols,
                           together.data() + i * cols + first, [](auto value) { return static_cast<T>(value); });
        },
        matrix.values);
    first += matrix.cols;
  }
  return {rows, cols, std::move(together)};
}

template <class T>
SparseMatrix sparse_together(const std::vector<Shard>& parts, std::size_t cols) {
  const std::size_t rows = parts[0].rows();
  SparseMatrix together{rows, cols, {}, {}, {}};
  together.row_begin.assign(rows + 1, 0);
  for (const Shard& part : parts) {
    const auto& matrix = std::get<SparseMatrix>(part.matrix);
    for (std::size_t i = 0; i <= rows; ++i) together.row_begin[i] += matrix.row_begin[i];
  }
  AlignedVector<T> all_values(together.row_begin[rows]);
  together.columns.resize(all_values.size());
  std::vector<std::uint64_t> next(together.row_begin.begin(), together.row_begin.end() - 1);
  std::size_t first = 0;
  for (const Shard& part : parts) {
    const auto& matrix = std::get<SparseMatrix>(part.matrix);
    std::visit(
        [&](const auto& values) {
          for (std::size_t i = 0; i < rows; ++i) {
            for (std::uint64_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k, ++next[i]) {
              together.columns[next[i]] = static_cast<std::uint32_t>(matrix.columns[k] + first);
              all_values[next[i]] = static_cast<T>(values[k]);
            }
          }
        },
        matrix.values);
    first += matrix.cols;
  }
  together.values = std::move(all_values);
  return together;
}

enum : std::size_t { kSparse, kSingle, kRows, kCols, kEntries, kPowers, kTargets, kWeights, kOffsets, kFolds, kSizes };
using Sizes = std::array<std::uint64_t, kSizes>;

Sizes sizes_of(const Shard& shard) {
  Sizes sizes{};
  sizes[kRows] = shard.rows();
  sizes[kCols] = shard.cols();
  sizes[kPowers] = shard.powers.size();
  sizes[kTargets] = shard.targets.size();
  sizes[kWeights] = shard.weights.size();
  sizes[kOffsets] = shard.offsets.size();
  sizes[kFolds] = shard.folds.size();
  sizes[kSparse] = std::holds_alternative<SparseMatrix>(shard.matrix) ? 1 : 0;
  std::visit(
      [&](const auto& matrix) {
        sizes[kSingle] = matrix.values.index();
        std::visit([&](const auto& values) { sizes[kEntries] = values.size(); }, matrix.values);
      },
      shard.matrix);
  return sizes;
}

// Calls visit(array) for every array of a shard, in one order. Shards whose arrays are sized are read or written by it.
template <class AShard, class Visit>
void for_each_array(AShard& shard, const Visit& visit) {
  std::visit(
      [&](auto& matrix) {
        if constexpr (requires { matrix.row_begin; }) {
          visit(matrix.row_begin);
          visit(matrix.columns);
        }
        std::visit([&](auto& values) { visit(values); }, matrix.values);
      },
      shard.matrix);
  visit(shard.powers);
  visit(shard.targets);
  visit(shard.weights);
  visit(shard.offsets);
  visit(shard.folds);
}

template <class Matrix>
void size_values(Matrix& matrix, const Sizes& sizes) {
  if (sizes[kSingle] != 0) {
    matrix.values = AlignedVector<float>(sizes[kEntries]);
  } else {
    matrix.values = AlignedVector<double>(sizes[kEntries]);
  }
}

Shard sized(const Sizes& sizes) {
  Shard shard;
  if (sizes[kSparse] != 0) {
    SparseMatrix matrix{sizes[kRows], sizes[kCols], {}, {}, {}};
    matrix.row_begin.resize(sizes[kRows] + 1);
    matrix.columns.resize(sizes[kEntries]);
    size_values(matrix, sizes);
    shard.matrix = std::move(matrix);
  } else {
    DenseMatrix matrix{sizes[kRows], sizes[kCols], {}};
    size_values(matrix, sizes);
    shard.matrix = std::move(matrix);
  }
  shard.powers.resize(sizes[kPowers]);
  shard.targets.resize(sizes[kTargets]);
  shard.weights.resize(sizes[kWeights]);
  shard.offsets.resize(sizes[kOffsets]);
  shard.folds.resize(sizes[kFolds]);
  return shard;
}

}  // namespace

std::vector<std::size_t> column_blocks(const Encoding& encoding, std::size_t blocks) {
  const std::size_t columns = encoding.feature_count();
  std::vector<std::size_t> begins;
  for (std::size_t b = 0; b <= blocks; ++b) {
    std::size_t begin = columns * b / blocks;
    while (begin < encoding.features.size() && encoding.features[begin].kind == Feature::Kind::power) ++begin;
    begins.push_back(begin);
  }
  return begins;
}

Shard columns_between(const Shard& shard, std::size_t begin, std::size_t end) {
  MUSTER_CHECK(begin <= end && end <= shard.cols(), "a range of the shard's columns");
  Shard kept;
  std::visit(
      [&](const auto& matrix) {
        std::visit([&](const auto& values) { kept.matrix = columns_of(matrix, values, begin, end); }, matrix.values);
      },
      shard.matrix);
  for (const PowerFeature& power : shard.powers) {
    if (power.feature < begin || power.feature >= end) continue;
    MUSTER_CHECK(power.base >= begin && power.base < end, "a power is in the block of its base");
    kept.powers.push_back({power.feature - begin, power.base - begin, power.degree});
  }
  kept.targets = shard.targets;
  kept.weights = shard.weights;
  kept.offsets = shard.offsets;
  kept.folds = shard.folds;
  return kept;
}

Shard columns_together(const std::vector<Shard>& parts, std::size_t with_targets) {
  Shard whole;
  std::size_t cols = 0;
  for (const Shard& part : parts) {
    MUSTER_CHECK(part.rows() == parts[0].rows() && part.matrix.index() == parts[0].matrix.index(),
                 "columns of the same rows, stored alike");
    for (const PowerFeature& power : part.powers)
      whole.powers.push_back({power.feature + cols, power.base + cols, power.degree});
    cols += part.cols();
  }
  const bool single = all_single(parts);
  if (std::holds_alternative<SparseMatrix>(parts[0].matrix)) {
    whole.matrix = single ? sparse_together<float>(parts, cols) : sparse_together<double>(parts, cols);
  } else {
    whole.matrix = single ? dense_together<float>(parts, cols) : dense_together<double>(parts, cols);
  }
  whole.targets = parts[with_targets].targets;
  whole.weights = parts[with_targets].weights;
  whole.offsets = parts[with_targets].offsets;
  whole.folds = parts[with_targets].folds;
  return whole;
}

Buffer to_bytes(const Shard& shard) {
  const Sizes sizes = sizes_of(shard);
  std::size_t length = sizeof sizes;
  for_each_array(shard, [&](const auto& array) { length += array.size() * sizeof(array[0]); });
  Buffer bytes(length);
  std::memcpy(bytes.data(), sizes.data(), sizeof sizes);
  std::byte* at = bytes.data() + sizeof sizes;
  for_each_array(shard, [&](const auto& array) {
    if (!array.empty()) std::memcpy(at, array.data(), array.size() * sizeof(array[0]));
    at += array.size() * sizeof(array[0]);
  });
  return bytes;
}

Shard shard_from_bytes(const Buffer& bytes) {
  Sizes sizes;
  MUSTER_CHECK(bytes.size() >= sizeof sizes, "the bytes of a shard");
  std::memcpy(sizes.data(), bytes.data(), sizeof sizes);
  Shard shard = sized(sizes);
  const std::byte* at = bytes.data() + sizeof sizes;
  for_each_array(shard, [&](auto& array) {
    if (!array.empty()) std::memcpy(array.data(), at, array.size() * sizeof(array[0]));
    at += array.size() * sizeof(array[0]);
  });
  MUSTER_CHECK(at == bytes.data() + bytes.size(), "the bytes of a shard");
  return shard;
}

}  // namespace muster
