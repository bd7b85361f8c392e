#include "data/shard.h"

#include <type_traits>

#include "base/check.h"

namespace muster {
namespace {

using Values = std::variant<AlignedVector<double>, AlignedVector<float>>;

template <class T>
void append(AlignedVector<T>& into, const AlignedVector<T>& more) {
  into.reserve(into.size() + more.size());  // not twice as much
  into.insert(into.end(), more.begin(), more.end());
}

AlignedVector<double> widened(const AlignedVector<float>& values) {
  return {values.begin(), values.end()};
}

// Values that are not there yet do not decide how the others are stored.
void append_values(Values& into, Values more) {
  const auto empty = [](const Values& values) { return std::visit([](const auto& v) { return v.empty(); }, values); };
  if (empty(more)) return;
  if (empty(into)) {
    into = std::move(more);
    return;
  }
  if (into.index() != more.index()) {
    Values& single = std::holds_alternative<AlignedVector<float>>(into) ? into : more;
    single = widened(std::get<AlignedVector<float>>(single));
  }
  std::visit([&](auto& to) { append(to, std::get<std::remove_reference_t<decltype(to)>>(more)); }, into);
}

void append_matrix(DenseMatrix& into, DenseMatrix more) {
  append_values(into.values, std::move(more.values));
}

void append_matrix(SparseMatrix& into, SparseMatrix more) {
  const std::uint64_t before = into.row_begin[into.rows];
  append_values(into.values, std::move(more.values));
  append(into.columns, more.columns);
  into.row_begin.reserve(into.rows + more.rows + 1);
  for (std::size_t i = 1; i <= more.rows; ++i) into.row_begin.push_back(before + more.row_begin[i]);
}

// Empty stands for `usual` in every row.
void append_optional(AlignedVector<double>& into, std::size_t into_rows, AlignedVector<double> more,
                     std::size_t more_rows, double usual) {
  if (into.empty() && more.empty()) return;
  if (into.empty()) into.assign(into_rows, usual);
  if (more.empty()) more.assign(more_rows, usual);
  append(into, more);
}

template <class T>
AlignedVector<T> slice(const AlignedVector<T>& values, std::size_t begin, std::size_t end) {
  if (values.empty()) return {};
  return {values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end)};
}

Values slice(const Values& values, std::size_t begin, std::size_t end) {
  return std::visit([&](const auto& all) { return Values(slice(all, begin, end)); }, values);
}

DenseMatrix slice(const DenseMatrix& matrix, std::size_t begin, std::size_t end) {
  return {end - begin, matrix.cols, slice(matrix.values, begin * matrix.cols, end * matrix.cols)};
}

SparseMatrix slice(const SparseMatrix& matrix, std::size_t begin, std::size_t end) {
  const std::size_t first = matrix.row_begin[begin], last = matrix.row_begin[end];
  SparseMatrix rows{end - begin, matrix.cols, slice(matrix.row_begin, begin, end + 1),
                    slice(matrix.columns, first, last), slice(matrix.values, first, last)};
  for (std::uint64_t& at : rows.row_begin) at -= first;
  return rows;
}

}  // namespace

void append_rows(Shard& into, Shard more) {
  MUSTER_CHECK(into.cols() == more.cols() && into.matrix.index() == more.matrix.index() &&
                   into.powers.size() == more.powers.size(),
               "shards put together are of one encoding");
  const std::size_t before = into.rows(), added = more.rows();
  MUSTER_CHECK(before == 0 || added == 0 || into.targets.empty() == more.targets.empty(),
               "shards put together both have targets, or neither");
  append(into.targets, more.targets);
  MUSTER_CHECK(before == 0 || added == 0 || into.folds.empty() == more.folds.empty(),
               "shards put together both have folds, or neither");
  append(into.folds, more.folds);
  append_optional(into.weights, before, std::move(more.weights), added, 1);
  append_optional(into.offsets, before, std::move(more.offsets), added, 0);
  std::visit(
      [&](auto& matrix) {
        append_matrix(matrix, std::get<std::remove_reference_t<decltype(matrix)>>(std::move(more.matrix)));
        matrix.rows += added;
      },
      into.matrix);
}

Shard slice_rows(const Shard& shard, std::size_t begin, std::size_t end) {
  MUSTER_CHECK(begin <= end && end <= shard.rows(), "rows that the shard has");
  Shard rows;
  std::visit([&](const auto& matrix) { rows.matrix = slice(matrix, begin, end); }, shard.matrix);
  rows.powers = shard.powers;
  rows.targets = slice(shard.targets, begin, end);
  rows.weights = slice(shard.weights, begin, end);
  rows.offsets = slice(shard.offsets, begin, end);
  rows.folds = slice(shard.folds, begin, end);
  return rows;
}

void keep_rows(Shard& shard, std::size_t rows) {
  MUSTER_CHECK(rows <= shard.rows(), "rows that the shard has");
  for (AlignedVector<double>* beside : {&shard.targets, &shard.weights, &shard.offsets, &shard.folds})
    if (!beside->empty()) beside->resize(rows);
  std::size_t entries = rows * shard.cols();
  if (auto* sparse = std::get_if<SparseMatrix>(&shard.matrix)) {
    sparse->row_begin.resize(rows + 1);
    entries = sparse->row_begin[rows];
    sparse->columns.resize(entries);
  }
  std::visit(
      [&](auto& matrix) {
        matrix.rows = rows;
        std::visit([&](auto& values) { values.resize(entries); }, matrix.values);
      },
      shard.matrix);
}

Shard without_rows(const Shard& shard) {
  Shard empty{shard.matrix, shard.powers, {}, {}, {}};
  if (auto* sparse = std::get_if<SparseMatrix>(&empty.matrix)) {
    sparse->row_begin.assign(1, 0);
    sparse->columns.clear();
  }
  std::visit(
      [](auto& matrix) {
        matrix.rows = 0;
        std::visit([](auto& values) { values.clear(); }, matrix.values);
      },
      empty.matrix);
  return empty;
}

}  // namespace muster
