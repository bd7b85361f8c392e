// How fast a topology averages: the pieces of spectrum() (train/topology.h), each on an operator known by its products.
//
// Symmetric W. The gap 1 − |λ₂| may be 1e-8 (a line of 10,000 nodes), so it is not taken from λ₂: Lanczos runs on the
// Laplacian I − W, computed as differences over edges, with the constant vector projected out of every step. Its least
// eigenvalue μ gives 1 − λ₂ = μ, its largest μ' gives 1 − |λ_n| = 2 − μ'. There is no reorthogonalisation: rounding
// repeats eigenvalues of T that have settled, and leaves the extreme ones right (C. C. Paige, 1971; B. N. Parlett, "The
// Symmetric Eigenvalue Problem", chapter 13).
//
// Else. P, the product of a period's W, has the eigenvalue 1 for the constant vector (on the right where rows sum to 1,
// on the left where columns do), so P(I − 11ᵀ/n), or (I − 11ᵀ/n)P, has 0 in its place and P's other eigenvalues (A.
// Brauer, Duke Math. J. 19, 1952). Where P is normal, |λ|² are the eigenvalues of PᵀP, and Lanczos serves again; else
// Arnoldi with restarts, on powers of P: those separate the moduli.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace muster {

using Product = std::function<void(std::span<const double>, std::span<double>)>;

struct Ends {
  double least = 0, largest = 0;
  bool converged = true;
};

// The extreme eigenvalues of a symmetric operator on the vectors of mean 0, 0 ≤ spectrum ≤ top, until the smaller of
// least and top − largest has about seven digits. dimension: at least 2. work: of one product.
Ends extreme_eigenvalues(std::size_t dimension, const Product& product, double top, double work);

struct Dominant {
  double log_modulus = 0;  // ln|λ|; −infinity: 0
  bool converged = true;
};

// The largest modulus of an eigenvalue, by Arnoldi on powers of the operator.
Dominant dominant_eigenvalue(std::size_t dimension, const Product& product, double work);

}  // namespace muster
