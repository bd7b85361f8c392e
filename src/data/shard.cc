#include "data/shard.h"

#include <type_traits>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

using Values = std::variant<RowArray<double>, RowArray<float>>;

template <class T>
void append(RowArray<T>& into, const RowArray<T>& more) {
  into.reserve(into.size() + more.size());  // not twice as much
  into.append(more.begin(), more.end());
}

RowArray<double> widened(const RowArray<float>& values) {
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
    Values& single = std::holds_alternative<RowArray<float>>(into) ? into : more;
    single = widened(std::get<RowArray<float>>(single));
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
void append_optional(RowArray<double>& into, std::size_t into_rows, RowArray<double> more, std::size_t more_rows,
                     double usual) {
  if (into.empty() && more.empty()) return;
  if (into.empty()) into.assign(into_rows, usual);
  if (more.empty()) more.assign(more_rows, usual);
  append(into, more);
}

template <class T>
RowArray<T> slice(const RowArray<T>& values, std::size_t begin, std::size_t end) {
  return values.empty() ? RowArray<T>() : values.part(begin, end);
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
  if (added == 0) return;
  if (before == 0) {
    into = std::move(more);
    return;
  }
  MUSTER_CHECK(into.targets.empty() == more.targets.empty(), "shards put together both have targets, or neither");
  append(into.targets, more.targets);
  MUSTER_CHECK(into.folds.empty() == more.folds.empty(), "shards put together both have folds, or neither");
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
  for (RowArray<double>* beside : {&shard.targets, &shard.weights, &shard.offsets, &shard.folds})
    if (!beside->empty()) beside->keep_first(rows);
  std::size_t entries = rows * shard.cols();
  if (auto* sparse = std::get_if<SparseMatrix>(&shard.matrix)) {
    sparse->row_begin.keep_first(rows + 1);
    entries = std::as_const(sparse->row_begin)[rows];
    sparse->columns.keep_first(entries);
  }
  std::visit(
      [&](auto& matrix) {
        matrix.rows = rows;
        std::visit([&](auto& values) { values.keep_first(entries); }, matrix.values);
      },
      shard.matrix);
}

Shard without_rows(const Shard& shard) {
  Shard empty;
  empty.powers = shard.powers;
  const auto of_kind = [](const auto& values) {
    return decltype(DenseMatrix::values)(std::decay_t<decltype(values)>());
  };
  if (const auto* sparse = std::get_if<SparseMatrix>(&shard.matrix)) {
    empty.matrix = SparseMatrix{0, sparse->cols, {0}, {}, std::visit(of_kind, sparse->values)};
  } else {
    const auto& dense = std::get<DenseMatrix>(shard.matrix);
    empty.matrix = DenseMatrix{0, dense.cols, std::visit(of_kind, dense.values)};
  }
  return empty;
}

}  // namespace muster
