// Stochastic steps of several threads on one model, without locks: each reads what it finds and adds its change.
//
//     for one row i after another, with its margins m at u and m̃ at a snapshot ũ, one for each output k, and with
//     force_k = ω_i (∂loss/∂m_k(m, y_i) − ∂loss/∂m_k(m̃, y_i)):
//
//     u_jk ← S( u_jk − (step_jk · force_k · (x_ij − centre_j) + pull_jk + shrink_jk (u_jk − ũ_jk)), threshold_jk )
//
// for the columns j in which the row has entries, S being the soft threshold; and for the intercepts. Who calls chooses
// the numbers (objective/linear_steps.h). A coefficient's change is one relaxed atomic addition: none is lost, none
// waits.
//
// The intercepts, which every row moves, would be cache lines that all threads fight for: a thread moves values of its
// own, and adds what these have moved to the shared ones every kStepsPerExchange steps.
//
// Plain C++ for every instruction set, as kernels/sparse_rows.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel_table.h"

namespace muster {

// One coefficient of a model that threads share, with all that a step asks of it: a cache line, so that two threads
// meet where their rows have a column in common and nowhere else. Only u changes while threads run.
struct alignas(64) SharedCoefficient {
  std::atomic<double> u = 0;
  double centre = 0;  // of its column; 0 for sparse rows
  double snapshot = 0;
  double step = 0, pull = 0, shrink = 0, threshold = 0;
};

struct SharedModel {
  RowFunction function = RowFunction::squared;   // or logistic; not read where there are several outputs: softmax
  std::size_t outputs = 1;                       // margins of a row
  std::span<SharedCoefficient> coefficients;     // of the rows' columns, u_jk at j·outputs + k
  std::span<SharedCoefficient> intercepts = {};  // by output; empty: none
};

inline constexpr int kStepsPerExchange = 8;

// One step for each row named in order. weights: ω_i, by row; data.weights are not read. Threads: any number at a time
// on one model.
template <class Rows>
void take_shared_steps(const SharedModel& model, Rows rows, RowData data, const double* weights,
                       std::span<const std::uint32_t> order);

extern template void take_shared_steps(const SharedModel&, SparseRows<double>, RowData, const double*,
                                       std::span<const std::uint32_t>);
extern template void take_shared_steps(const SharedModel&, SparseRows<float>, RowData, const double*,
                                       std::span<const std::uint32_t>);
extern template void take_shared_steps(const SharedModel&, DenseRows<double>, RowData, const double*,
                                       std::span<const std::uint32_t>);
extern template void take_shared_steps(const SharedModel&, DenseRows<float>, RowData, const double*,
                                       std::span<const std::uint32_t>);

}  // namespace muster
