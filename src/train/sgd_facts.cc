#include "train/sgd_facts.h"

#include <algorithm>

#include "base/check.h"
#include "solver/lanczos.h"

namespace muster {
namespace {

std::size_t batch_rows(std::int64_t asked, std::size_t rows) {
  if (asked > 0) return static_cast<std::size_t>(asked);
  return std::clamp<std::size_t>(rows / 100, 16, 1024);
}

// 𝓛_k; 0 without rows.
double own_smoothness(RowObjective& objective, Endpoint& endpoint, std::size_t batches, std::uint64_t seed) {
  const double weight = objective.weight();
  if (batches == 0 || !(weight > 0)) return 0;
  const auto n = static_cast<double>(objective.rows()), size = n / static_cast<double>(batches);
  const double largest_row = objective.largest_row_curvature();
  if (size <= 1) return largest_row;
  const auto product = [&](std::span<const double> v, std::span<double> out) {
    endpoint.charge(objective.curvature_product(v, out));
    for (double& value : out) value /= weight;
    endpoint.progress();
  };
  const double whole = estimate_largest_eigenvalue(objective.dimension(), product, seed).estimate;
  return n * (size - 1) / (size * (n - 1)) * whole + (n - size) / (size * (n - 1)) * largest_row;
}

}  // namespace

std::shared_ptr<const RowFacts> agree_row_facts(RowObjective& objective, Endpoint& endpoint, std::size_t workers,
                                                double weight, const RowOptions& options) {
  const std::size_t dimension = objective.dimension();
  RowFacts facts;
  facts.centre = options.implicit_centre;
  facts.centre.resize(dimension, 0.0);
  endpoint.broadcast(facts.centre, endpoint.members().front(), Deadline::never());
  const bool centred = std::any_of(facts.centre.begin(), facts.centre.end(), [](double k) { return k != 0; });
  facts.sums = centred ? options.outputs : 0;

  const std::size_t batches = objective.deal(batch_rows(options.batch, objective.rows()), options.seed);
  facts.own_batches = batches;
  std::vector<double> sums(dimension + 1, 0.0);  // P, then M
  sums[dimension] = static_cast<double>(batches);
  double keyed = 0;
  for (std::size_t b = 0; b < batches; ++b) {
    const std::span<const std::uint32_t> keys = objective.keys(b);
    if (keys.size() < dimension) keyed = 1;
    for (const std::uint32_t key : keys) sums[key] += 1 / static_cast<double>(batches);
  }
  endpoint.allreduce(sums, ReduceOp::sum, Deadline::never());
  facts.epoch_pushes = sums[dimension];
  sums.resize(dimension);
  for (double& share : sums) share /= static_cast<double>(workers);
  facts.touched = std::move(sums);

  const double share = static_cast<double>(workers) * objective.weight() / weight;
  double largest[2] = {keyed, share * own_smoothness(objective, endpoint, batches, options.seed)};
  endpoint.allreduce(largest, ReduceOp::max, Deadline::never());
  facts.keyed = largest[0] > 0;
  facts.smoothness = largest[1];
  return std::make_shared<const RowFacts>(std::move(facts));
}

}  // namespace muster
