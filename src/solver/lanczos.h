// The largest eigenvalue of a symmetric positive semidefinite matrix B known by its products, by Lanczos.
//
//     β_{j+1} q_{j+1} = B q_j − α_j q_j − β_j q_{j−1}        T = tridiag(β, α, β)
//
// Every eigenvalue θ of T with eigenvector s is within β_{k+1}|s_k| of one of B; for the largest θ, seen from a random
// start, that one is almost surely B's largest. θ itself can only be too small, which is the dangerous side for a step
// size 1/L, so the estimate adds the distance and a margin. A solver still needs its guard.
//
// Sources: C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950); B. N. Parlett, "The Symmetric Eigenvalue Problem",
// chapters 4 and 13; J. Kuczyński, H. Woźniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) for the random start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "solver/problem.h"

namespace muster {

struct LargestEigenvalue {
  double estimate = 0;  // inflated; 0 where B is 0 as far as seen
  int products = 0;     // B·v computed
};

// product(v, Bv). Ends when the distance above is below 1% of θ, or after max_products.
LargestEigenvalue estimate_largest_eigenvalue(
    std::size_t dimension, const std::function<void(std::span<const double>, std::span<double>)>& product,
    std::uint64_t seed, int max_products = 24);

// Of the B of Problem::curvature_product. The start vector is a function of the seed and the coordinates' numbers, so
// that it does not depend on how vectors are cut into blocks.
LargestEigenvalue estimate_largest_curvature(Problem& problem, std::uint64_t seed, int max_products = 24);

}  // namespace muster
