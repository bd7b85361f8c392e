// Stochastic steps of several threads on one model, without locks: each reads what it finds and adds its change.
//
//     for one row i after another, with the margins m at u and m̃ at a snapshot ũ, and with
//     force = ω_i (loss'(m, y_i) − loss'(m̃, y_i)):
//
//     u_j ← S( u_j − (step_j · force · (x_ij − centre_j) + pull_j + shrink_j (u_j − ũ_j)), threshold_j )
//
// for the columns j in which the row has entries, S being the soft threshold; and for the intercept. Who calls chooses
// the numbers (objective/linear_steps.h). A column's change is one relaxed atomic addition: none is lost, none waits.
//
// The intercept, which every row moves, would be a cache line that all threads fight for: a thread moves a value of its
// own, and adds what that has moved to the shared one every kStepsPerExchange steps.
//
// Plain C++ for every instruction set, as kernels/sparse_rows.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "kernels/kernel_table.h"

namespace muster {

// One column of a model that threads share, with all that a step asks of it: a cache line, so that two threads meet
// where their rows have a column in common and nowhere else. Only u changes while threads run.
struct alignas(64) SharedColumn {
  std::atomic<double> u = 0;
  double centre = 0;  // 0 for sparse rows
  double snapshot = 0;
  double step = 0, pull = 0, shrink = 0, threshold = 0;
};

struct SharedModel {
  RowFunction function = RowFunction::squared;  // or logistic
  std::span<SharedColumn> columns;              // of the rows
  SharedColumn* intercept = nullptr;            // null: none
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
