#include "engine/objective_shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "muster/error.h"

namespace muster {
namespace {

// How much larger the curvature may be elsewhere than at the start, where it was measured. A guess: it let the network
// of examples/own_objective train under every solver, while half of it did not.
constexpr double kElsewhere = 4;

}  // namespace

void ObjectiveShares::add(std::unique_ptr<Objective> share) {
  MUSTER_CHECK(share != nullptr, "the factory makes an objective");
  if (share->dimension() != dimension())
    throw InputError(fmt::format("the objective has {} parameters and its start {}: they must be as many",
                                 share->dimension(), dimension()));
  tallies_ = share->tallies();
  auto* rows = dynamic_cast<RowObjective*>(share.get());
  shares_.push_back({std::move(share), rows});
}

bool ObjectiveShares::takes_rows() const {
  return std::all_of(shares_.begin(), shares_.end(), [](const Share& share) { return share.rows != nullptr; });
}

std::size_t ObjectiveShares::rows() const {
  std::size_t sum = 0;
  for (const Share& share : shares_) sum += share.objective->rows();
  return sum;
}

double ObjectiveShares::weight() const {
  double sum = 0;
  for (const Share& share : shares_) sum += share.objective->weight();
  return sum;
}

Work ObjectiveShares::value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                                         std::span<double> tallies) {
  value = 0;
  std::fill(gradient.begin(), gradient.end(), 0.0);
  std::fill(tallies.begin(), tallies.end(), 0.0);
  scratch_.resize(gradient.size());
  scratch_tallies_.resize(tallies.size());
  Work work;
  for (const Share& share : shares_) {
    double part = 0;
    work += share.objective->value_and_gradient(w, part, scratch_, scratch_tallies_);
    value += part;
    for (std::size_t j = 0; j < gradient.size(); ++j) gradient[j] += scratch_[j];
    for (std::size_t t = 0; t < tallies.size(); ++t) tallies[t] += scratch_tallies_[t];
  }
  return work;
}

bool ObjectiveShares::bounds_curvature() const {
  return std::all_of(shares_.begin(), shares_.end(),
                     [](const Share& share) { return share.objective->bounds_curvature(); });
}

Work ObjectiveShares::curvature_product(std::span<const double> v, std::span<double> product) {
  std::fill(product.begin(), product.end(), 0.0);
  std::vector<double> part(product.size());
  Work work;
  for (const Share& share : shares_) {
    const bool bounded = share.objective->bounds_curvature();
    work +=
        bounded ? share.objective->curvature_product(v, part) : difference_gradients(*share.objective, start_, v, part);
    for (std::size_t j = 0; j < product.size(); ++j) product[j] += bounded ? part[j] : kElsewhere * part[j];
  }
  return work;
}

Work ObjectiveShares::hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) {
  std::fill(product.begin(), product.end(), 0.0);
  std::vector<double> part(product.size());
  Work work;
  for (const Share& share : shares_) {
    work += share.objective->has_hessian() ? share.objective->hessian_product(w, v, part)
                                           : difference_gradients(*share.objective, w, v, part);
    for (std::size_t j = 0; j < product.size(); ++j) product[j] += part[j];
  }
  return work;
}

// Hv ≈ (∇f(w + hv) − ∇f(w − hv)) / 2h; h of the cube root of the rounding unit makes both errors of its order squared.
Work ObjectiveShares::difference_gradients(Objective& objective, std::span<const double> w, std::span<const double> v,
                                           std::span<double> product) {
  double size = 0, length = 0;
  for (std::size_t j = 0; j < v.size(); ++j) {
    size += w[j] * w[j];
    length += v[j] * v[j];
  }
  const double h = std::cbrt(0x1p-53) * (1 + std::sqrt(size)) / std::max(std::sqrt(length), 1e-300);
  std::vector<double> at(v.size()), behind(v.size()), tallies(objective.tallies());
  double value = 0;
  for (std::size_t j = 0; j < v.size(); ++j) at[j] = w[j] - h * v[j];
  Work work = objective.value_and_gradient(at, value, behind, tallies);
  for (std::size_t j = 0; j < v.size(); ++j) at[j] = w[j] + h * v[j];
  work += objective.value_and_gradient(at, value, product, tallies);
  for (std::size_t j = 0; j < v.size(); ++j) product[j] = (product[j] - behind[j]) / (2 * h);
  return work;
}

std::size_t ObjectiveShares::deal(std::size_t rows, std::uint64_t seed) {
  std::size_t batches = 0;
  for (Share& share : shares_) {
    share.batches = share.rows->deal(rows, seed);
    batches += share.batches;
  }
  return batches;
}

RowObjective& ObjectiveShares::share_of(std::size_t& batch) {
  auto share = shares_.begin();
  for (; batch >= share->batches; ++share) batch -= share->batches;
  return *share->rows;
}

std::span<const std::uint32_t> ObjectiveShares::keys(std::size_t batch) {
  RowObjective& share = share_of(batch);
  return share.keys(batch);
}

double ObjectiveShares::batch_weight(std::size_t batch) {
  RowObjective& share = share_of(batch);
  return share.batch_weight(batch);
}

Work ObjectiveShares::batch_gradient(std::size_t batch, std::span<const double> w, double& value,
                                     std::span<double> gradient) {
  RowObjective& share = share_of(batch);
  return share.batch_gradient(batch, w, value, gradient);
}

// A share's figure is in proportion to its own n/S.
double ObjectiveShares::largest_row_curvature() {
  double largest = 0;
  for (const Share& share : shares_) {
    const auto n = static_cast<double>(share.rows->rows());
    if (n > 0) largest = std::max(largest, share.rows->largest_row_curvature() * share.rows->weight() / n);
  }
  const double all = weight();
  return all > 0 ? largest * static_cast<double>(rows()) / all : 0;
}

}  // namespace muster
