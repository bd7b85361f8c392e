#include "solver/lanczos.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr double kMargin = 1.05;
constexpr double kGoodEnough = 0.01;

// B by its products, on vectors of which this rank may hold a block.
struct SymmetricMap {
  std::size_t dimension = 0, first = 0;  // of the block
  std::size_t whole = 0;                 // dimension of B
  std::function<void(std::span<const double>, std::span<double>)> product;
  std::function<void(std::span<double>)> sum_over_blocks;

  double dot(std::span<const double> a, std::span<const double> b) const {
    double sum = muster::dot(a, b);
    sum_over_blocks({&sum, 1});
    return sum;
  }
};

// Number of eigenvalues of T above x: Sturm's count, by the signs of the pivots of T − xI.
int eigenvalues_above(const std::vector<double>& alpha, const std::vector<double>& beta, double x) {
  int count = 0;
  double pivot = 1;
  for (std::size_t i = 0; i < alpha.size(); ++i) {
    pivot = alpha[i] - x - (i ? beta[i - 1] * beta[i - 1] / pivot : 0);
    if (pivot == 0) pivot = -1e-300;
    if (pivot > 0) ++count;
  }
  return count;
}

// By bisection between T's largest diagonal entry and Gershgorin's bound.
double largest_of_tridiagonal(const std::vector<double>& alpha, const std::vector<double>& beta) {
  double low = *std::max_element(alpha.begin(), alpha.end()), high = low;
  for (std::size_t i = 0; i < alpha.size(); ++i)
    high = std::max(high, alpha[i] + (i ? beta[i - 1] : 0) + (i + 1 < alpha.size() ? beta[i] : 0));
  for (int step = 0; step < 60 && high - low > 1e-14 * high; ++step) {
    const double middle = 0.5 * (low + high);
    (eigenvalues_above(alpha, beta, middle) > 0 ? low : high) = middle;
  }
  return high;
}

// |s_k| / |s| for the eigenvector of θ, by the recurrence from its first entry.
double last_entry(const std::vector<double>& alpha, const std::vector<double>& beta, double theta) {
  double before = 0, current = 1, square = 1;
  for (std::size_t i = 0; i + 1 < alpha.size(); ++i) {
    const double next = ((theta - alpha[i]) * current - (i ? beta[i - 1] * before : 0)) / beta[i];
    before = current;
    current = next;
    square += next * next;
  }
  return std::abs(current) / std::sqrt(square);
}

LargestEigenvalue estimate(const SymmetricMap& b, std::uint64_t seed, int max_products) {
  LargestEigenvalue result;
  if (b.whole == 0) return result;
  const RandomStream random(seed, 0, RandomPurpose::start_vector);
  const std::size_t n = b.dimension;
  std::vector<double> q(n), previous(n, 0.0), next(n), alpha, beta;
  for (std::size_t i = 0; i < n; ++i) q[i] = random.uniform(b.first + i) - 0.5;
  const double start = std::sqrt(b.dot(q, q));
  for (double& value : q) value /= start;
  const int steps = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(max_products), b.whole));
  for (result.products = 1;; ++result.products) {
    b.product(q, next);
    alpha.push_back(b.dot(q, next));
    for (std::size_t i = 0; i < n; ++i) next[i] -= alpha.back() * q[i] + (beta.empty() ? 0 : beta.back() * previous[i]);
    const double remainder = std::sqrt(b.dot(next, next));
    const double theta = largest_of_tridiagonal(alpha, beta);
    if (!std::isfinite(theta)) return result;
    const double distance = remainder * last_entry(alpha, beta, theta);
    result.estimate = kMargin * (theta + distance);
    if (result.products >= steps || !(distance > kGoodEnough * theta)) return result;
    beta.push_back(remainder);
    previous = q;
    for (std::size_t i = 0; i < n; ++i) q[i] = next[i] / remainder;
  }
}

}  // namespace

LargestEigenvalue estimate_largest_eigenvalue(
    std::size_t dimension, const std::function<void(std::span<const double>, std::span<double>)>& product,
    std::uint64_t seed, int max_products) {
  return estimate({dimension, 0, dimension, product, [](std::span<double>) {}}, seed, max_products);
}

LargestEigenvalue estimate_largest_curvature(Problem& problem, std::uint64_t seed, int max_products) {
  auto whole = static_cast<double>(problem.dimension());
  problem.sum_over_blocks({&whole, 1});
  const auto product = [&](std::span<const double> v, std::span<double> out) { problem.curvature_product(v, out); };
  const auto sum = [&](std::span<double> partial) { problem.sum_over_blocks(partial); };
  return estimate({problem.dimension(), problem.first_coordinate(), static_cast<std::size_t>(whole), product, sum},
                  seed, max_products);
}

}  // namespace muster
