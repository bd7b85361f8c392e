#include "engine/fit_scaling.h"

#include <fmt/format.h>

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
  double owner = context.rows.rows() > 0 ? group.rank() : group.size();
  context.add_up({&owner, 1}, ReduceOp::min);
  if (owner == group.size()) throw InputError("there are no rows to train on");
  std::vector<double> guess(context.columns() + 1, 0.0);
  if (group.rank() == static_cast<int>(owner)) guess = first_row(context.rows.source().head());
  group.broadcast(guess, static_cast<int>(owner), Deadline::never());
  return guess;
}

void count(FitContext& context) {
  const RowShape& shape = context.rows.shape();
  double counts[] = {static_cast<double>(shape.rows), static_cast<double>(shape.entries)};
  context.add_up(counts);
  context.sum_over_columns({counts + 1, 1});
  context.agreed.rows = static_cast<std::int64_t>(counts[0]);
  context.agreed.entries = counts[1];
  if (context.problem().loss == Loss::softmax) context.agreed.outputs = context.request.data.encoding.classes.size();
  context.agreed.sparse = shape.sparse;
}

}  // namespace

void agree_on_scaling(FitContext& context) {
  const std::size_t d = context.columns();
  Agreement& agreed = context.agreed;
  count(context);
  std::vector<double> centre = guess_centre(context), sums(d + 2);
  context.pass([&] { return context.rows.centred_sums(centre, sums); });
  context.add_up(sums);
  context.agree_over_columns({sums.data(), 1});
  context.agree_over_columns({sums.data() + d + 1, 1});
  agreed.weight = sums[0];
  if (!(agreed.weight > 0)) throw InputError("every row has weight 0: there is nothing to train on");
  for (std::size_t j = 0; j <= d; ++j)
    centre[j] = context.problem().intercept ? centre[j] + sums[j + 1] / agreed.weight : 0;
  context.pass([&] { return context.rows.centred_squares(centre, sums); });
  context.add_up(sums);
  context.agree_over_columns({sums.data() + d + 1, 1});
  agreed.scaling.scale.resize(d);
  std::optional<std::size_t> overflow;
  for (std::size_t j = 0; j < d; ++j) {
    const double scale = std::sqrt(sums[j + 1] / agreed.weight);
    if (!std::isfinite(scale) && !overflow) overflow = j;
    agreed.scaling.scale[j] = scale > kConstant * std::abs(centre[j]) ? scale : 0;
  }
  if (const auto column = context.first_of_all(overflow))
    throw InputError(
        fmt::format("the values of column '{}' are too large: their squares overflow", context.name_of(*column)));
  agreed.target_square = sums[d + 1] / agreed.weight;
  if (!std::isfinite(agreed.target_square))
    throw InputError("the values of the target are too large: their squares overflow");
  agreed.target_centre = centre[d];
  centre.pop_back();
  agreed.scaling.centre = std::move(centre);
}

}  // namespace muster
