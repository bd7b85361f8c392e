// Least squares from its sufficient statistics, in one dense solve.
//
//     minimise over w, b    (1/2S) Σ s (x·w + b − t)²  +  ½ Σ λ_j w_j² ,        t = y − offset
//
// Symbols: M = Σ s zzᵀ with z = [1, x − c, t − c_t] (muster/objective.h); m its first row; S = M_00;
//     C_ij = M_ij − m_i m_j / S       centred, exact up to the arithmetic   (no intercept: C = M, and c must be 0)
//     σ_j² = C_jj / S                  u_j = σ_j w_j, scaled coordinates
//     A = C/(S σ_i σ_j) + diag(λ_j/σ_j²),   a_i = C_it/(S σ_i)
// Solution: A u = a by Cholesky with complete pivoting of A brought to unit diagonal; where A is singular, the u of
// least norm. Then w_j = u_j/σ_j and b = mean(t) − Σ mean(x_j) w_j, all in the statistics' arithmetic, rounded once at
// the end.
//
// Why this reaches 13 digits where "normal equations" are known to fail: forming and solving them costs the square of
// the condition number, 10^20 in the worst of NIST's sets, and double-double has 10^32 to give.
//
// Sources: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapters 10, 15, 20; Å. Björck,
// "Numerical Methods for Least Squares Problems", 2.3.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "muster/objective.h"
#include "solver/dense_solve.h"

namespace muster {

struct ExactOptions {
  bool intercept = true;
  double l2 = 0;
  bool standardize = false;            // λ_j = l2·σ_j², the penalty acts on u; else λ_j = l2
  std::function<void()> between = {};  // called now and then during a long factorisation
};

struct ExactSolution {
  // The solution, rounded to double, in the user's units.
  std::vector<double> w;
  double intercept = 0;

  std::vector<std::size_t> constant;   // columns of which every row is the same (0, where there is no intercept)
  std::vector<std::size_t> dependent;  // columns that are combinations of the others; ascending
  bool rank_is_certain = true;         // false: float64 statistics can not tell dependent from nearly so
  double condition = 1;                // 1-norm condition number of A at unit diagonal, an estimate
  double digits = 0;                   // estimated correct decimal digits of the worst coefficient, at most 15.95

  // For exactly the rounded numbers above:
  double objective = 0;
  std::vector<double> gradient;  // by u_j, then by b with the centred columns held; length d (+ 1)
  double gradient_norm = 0;
  double suboptimality = 0;    // bound on f − f*: ½ gᵀA⁻¹g, and what the statistics' own rounding can add
  double objective_error = 0;  // bound on the error of `objective` by the statistics' own rounding

  // ½ gᵀA⁻¹g for another gradient, as above. rounding: length by which g may be wrong, measured in u.
  double newton_decrement(std::span<const double> g, double rounding) const;

  // gᵀA⁻¹g, in the widest arithmetic there is a factor in: over S, the variance of the combination g of (u, b), where
  // that of a residual is 1.
  double inverse_form(std::span<const double> g) const;

  // What newton_decrement needs: A's factor, rounded, and the way into its coordinates.
  PivotedCholesky<double> factor;
  std::vector<std::size_t> active;                           // columns of A
  std::vector<double> equilibration;                         // E: E A E has unit diagonal
  std::vector<double> scale;                                 // σ, by column; 0 where it is constant
  std::vector<double> mean_shift;                            // mean of (x_j − c_j)/σ_j
  double inverse_norm = 0;                                   // |A⁻¹|, estimated
  std::optional<PivotedCholesky<DoubleDouble>> wide_factor;  // unrounded, where the statistics were double-double
  double refined_digits = 0;                                 // what refine_exact can reach
};

// statistics: summed over all workers, S > 0.
ExactSolution solve_exact(const Statistics& statistics, const ExactOptions& options);

// One step of iterative refinement, with the gradient taken from the rows: sums = [Σ s r, Σ s r (x_j − c_j) …], d + 1
// pairs (high, low), for the residuals r of the given solution. The error of a solution from statistics is their
// rounding times the condition of A; that of residuals formed row by row enters times its square root only. Solution
// and statistics: of one solve in double-double.
//
// Source: Å. Björck, "Numerical Methods for Least Squares Problems", 2.9.3 (corrected semi-normal equations).
ExactSolution refine_exact(ExactSolution solution, const Statistics& statistics, const ExactOptions& options,
                           std::span<const double> sums);

}  // namespace muster
