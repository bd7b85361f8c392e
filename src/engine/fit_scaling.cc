#include "engine/fit_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "muster/error.h"

namespace muster {
namespace {

// A column that strays from its centre by less than the centre's own rounding is constant.
constexpr double kConstant = 4 * 0x1p-53;

// The first row of a shard, and its target: what a column's values are guessed to be near. Sums around a value the
// column takes are exactly 0 for a constant column, and lose nothing to a large common offset.
std::vector<double> first_row(const Shard& shard) {
  const std::size_t d = shard.cols();
  std::vector<double> row(d + 1, 0.0);
  if (const auto* dense = std::get_if<DenseMatrix>(&shard.matrix)) {
    std::visit([&](const auto& values) { std::copy_n(values.begin(), d, row.begin()); }, dense->values);
  } else {
    const auto& sparse = std::get<SparseMatrix>(shard.matrix);
    std::visit(
        [&](const auto& values) {
          for (std::uint64_t k = sparse.row_begin[0]; k < sparse.row_begin[1]; ++k) row[sparse.columns[k]] = values[k];
        },
        sparse.values);
  }
  row[d] = shard.targets[0] - (shard.offsets.empty() ? 0 : shard.offsets[0]);
  return row;
}

// The first row of the first rank that has one.
std::vector<double> guess_centre(FitContext& context) {
  Endpoint& group = context.grid().over_rows;
  double owner = context.rows.source().head().rows() > 0 ? group.rank() : group.size();
  context.add_up({&owner, 1}, ReduceOp::min);
  if (owner == group.size()) throw InputError("there are no rows to train on");
  std::vector<double> guess(context.columns() + 1, 0.0);
  if (group.rank() == static_cast<int>(owner)) guess = first_row(context.rows.source().head());
  group.broadcast(guess, static_cast<int>(owner), Deadline::never());
  return guess;
}

// squares: around the means.
void take_scaling(FitContext& context, std::span<const double> means, std::span<const double> squares) {
  const std::size_t d = context.columns();
  Agreement& agreed = context.agreed;
  agreed.scaling.scale.resize(d);
  std::optional<std::size_t> overflow;
  for (std::size_t j = 0; j < d; ++j) {
    const double scale = std::sqrt(squares[j] / agreed.weight);
    if (!std::isfinite(scale) && !overflow) overflow = j;
    agreed.scaling.scale[j] = scale > kConstant * std::abs(means[j]) ? scale : 0;
  }
  if (const auto column = context.first_of_all(overflow))
    throw InputError(
        fmt::format("the values of column '{}' are too large: their squares overflow", context.name_of(*column)));
  agreed.target_square = squares[d] / agreed.weight;
  if (!std::isfinite(agreed.target_square))
    throw InputError("the values of the target are too large: their squares overflow");
  agreed.target_centre = means[d];
  agreed.scaling.centre.assign(means.begin(), means.end() - 1);
}

void check_weight(double weight) {
  if (!(weight > 0)) throw InputError("every row has weight 0: there is nothing to train on");
}

// Means of the first rows of every rank, or 0 without an intercept.
std::vector<double> pilot_centre(FitContext& context) {
  const std::size_t d = context.columns();
  std::vector<double> centre = guess_centre(context), sums(d + 2);
  if (!context.problem().intercept) return std::vector<double>(d + 1, 0.0);
  const Shard& head = context.rows.source().head();
  const Shard first = slice_rows(head, 0, std::min(kHeadRows, head.rows()));
  HeldRows pilot(first);
  context.pass([&] { return context.rows.over(pilot).centred_sums(centre, sums); });
  context.add_up(sums);
  for (std::size_t j = 0; j <= d && sums[0] > 0; ++j) centre[j] += sums[j + 1] / sums[0];
  return centre;
}

}  // namespace

void agree_on_rows(FitContext& context) {
  const RowShape& shape = context.rows.shape();
  double counts[] = {static_cast<double>(shape.rows), static_cast<double>(shape.entries)};
  context.add_up(counts);
  context.sum_over_columns({counts + 1, 1});
  context.agreed.rows = static_cast<std::int64_t>(counts[0]);
  context.agreed.entries = counts[1];
  if (context.problem().loss == Loss::softmax) context.agreed.outputs = context.request.data.encoding.classes.size();
  context.agreed.sparse = shape.sparse;
}

void agree_on_scaling(FitContext& context) {
  const std::size_t d = context.columns();
  std::vector<double> centre = guess_centre(context), sums(d + 2);
  const auto sum = [&](auto pass) {
    context.pass([&] { return (context.rows.*pass)(centre, sums); });
    context.add_up(sums);
    context.agree_over_columns({sums.data(), 1});
    context.agree_over_columns({sums.data() + d + 1, 1});
    check_weight(sums[0]);
  };
  if (context.problem().intercept) {
    sum(&LinearRows::centred_sums);
    for (std::size_t j = 0; j <= d; ++j) centre[j] += sums[j + 1] / sums[0];
  } else {
    std::fill(centre.begin(), centre.end(), 0.0);
  }
  sum(&LinearRows::centred_squares);
  context.agreed.weight = sums[0];
  take_scaling(context, centre, std::span(sums).subspan(1));
}

Statistics agree_on_statistics(FitContext& context) {
  const std::size_t d = context.columns();
  Statistics statistics{d, Statistics::Precision::float64, pilot_centre(context), {}};
  const auto sum = [&] { context.pass([&] { return context.rows.accumulate(statistics); }); };
  if (context.request.first_pass) {
    context.request.first_pass(sum);
  } else {
    sum();
  }
  agree_on_rows(context);  // a first pass over the files has counted them
  const std::size_t p = statistics.order();
  // The first row of M, then its diagonal.
  std::vector<double> sums(2 * p);
  for (std::size_t i = 0, entry = 0; i < p; entry += p - i++) {
    sums[i] = statistics.sums[i];
    sums[p + i] = statistics.sums[entry];
  }
  context.add_up(sums);
  const double weight = sums[0];
  context.agreed.weight = weight;
  check_weight(weight);
  std::vector<double> means(d + 1), squares(d + 1);
  for (std::size_t i = 1; i < p; ++i) {
    const double shift = context.problem().intercept ? sums[i] / weight : 0;
    means[i - 1] = statistics.centre[i - 1] + shift;
    squares[i - 1] = std::max(0.0, sums[p + i] - shift * sums[i]);
  }
  take_scaling(context, means, squares);
  context.endpoint().reduce(statistics.sums, ReduceOp::sum, 0, Deadline::never());
  return statistics;
}

void agree_on_rows_left(FitContext& context) {
  agree_on_rows(context);
  if (context.agreed.rows == 0) throw InputError("there are no rows to train on");
  const AlignedVector<double>& means = context.agreed.scaling.centre;
  std::vector<double> centre(means.begin(), means.end()), sums(context.columns() + 2);
  centre.push_back(context.agreed.target_centre);
  context.pass([&] { return context.rows.centred_sums(centre, sums); });
  context.add_up(sums);
  context.agreed.weight = sums[0];
  check_weight(sums[0]);
  if (context.problem().intercept) context.agreed.target_centre += sums.back() / sums[0];
}

}  // namespace muster
