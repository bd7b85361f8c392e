// What a block of rows makes of a linear model: one face for the kernels of losses of one margin a row and of those of
// one margin a class, so that whatever is built on rows (linear_rows.h) is built once.
//
// A loss has `outputs` margins a row. Rows of margins are `outputs` apart, but stride() where they are worked on: the
// kernels pad classes. So are coefficients, u_jk at j·stride() + k. Offsets belong to losses of one margin: softmax,
// which the same number added to all margins does not change, does not read them.
//
// Threads: any number at a time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "data/shard.h"
#include "kernels/kernel_table.h"
#include "muster/options.h"
#include "objective/row_blocks.h"

namespace muster {

// The largest second derivative of a loss by its margins, along any direction. Softmax: D. Böhning, "Multinomial
// logistic regression algorithm", Annals of the Institute of Statistical Mathematics 44 (1992), whatever the classes.
double largest_curvature(Loss loss);

// Where margins are taken.
struct ModelPoint {
  AlignedVector<double> u;
  AlignedVector<double>
      shift;  // by output: added to Σ_j u_jk (x_ij − centre_j); sparse rows, as they are: to Σ_j u_jk x_ij
};

// What becomes of margins m.
enum class MarginUse {
  loss,     // Σ s loss, its derivatives and tallies
  line,     // the same without tallies
  bound,    // m = Xv: Bv with ∇²f ≼ B at any point, but for bound_factor()
  hessian,  // m = Xv: ∇²f·v at a point of other margins
};

class RowLoss {
 public:
  RowLoss(const KernelTable& table, Loss loss, std::size_t outputs);

  Loss loss() const { return loss_; }
  std::size_t outputs() const { return outputs_; }
  std::size_t stride() const { return outputs_ == 1 ? 1 : class_stride(outputs_); }

  // Sums over rows are one array: [Σ s loss, wrong side, …, residuals by output, overlaps, gradient as u]. Blocks add
  // to it, and find it 0 but for what other blocks added.
  std::size_t residuals() const { return outputs_ == 1 ? 3 : kClassLanes; }
  // On a cache line, so that no vector of the gradient lies on two.
  std::size_t gradient() const { return outputs_ == 1 ? kClassLanes : overlaps() + outputs_ * stride(); }
  std::size_t length(std::size_t cols) const { return gradient() + cols * stride(); }
  // Of the sums, for observers: Objective::tallies().
  std::size_t tallies() const;
  void write_tallies(std::span<const double> sums, std::span<double> tallies) const;
  double bound_factor() const { return outputs_ == 1 ? largest_curvature(loss_) : 1; }

  // Scratch of one thread for rows of this shape.
  AlignedVector<double> room(const RowShape& shape) const;

  struct Pass {
    MarginUse use;
    const ModelPoint& point;
    const double* centre;        // by column
    const double* at = nullptr;  // hessian: margins of the block's rows where the loss is curved
    double* margins = nullptr;   // those of the block's rows are written here too; null: nowhere
  };
  // The fused pass over a block. Margins are with offsets where they are of a loss.
  void pass(const Shard& window, RowRange range, const Pass& pass, double* room, double* sums) const;

  // Its parts. Margins, with the bits of the pass; with_offsets: as those of a loss.
  void margins(const Shard& window, RowRange range, const ModelPoint& point, const double* centre, bool with_offsets,
               double* room, double* out) const;
  // Of `count` rows, whose margins, stride() apart, become residuals. at: as far apart, overwritten; data.offsets are
  // not read.
  void residuals(MarginUse use, double* margins, double* at, std::size_t count, RowData data, double* sums) const;
  void add_gradient(const Shard& window, RowRange range, const double* residuals, const double* centre, double* room,
                    double* sums) const;

 private:
  std::size_t overlaps() const { return residuals() + stride(); }
  RowFunction row_function() const { return loss_ == Loss::squared ? RowFunction::squared : RowFunction::logistic; }
  RowData data_of(const Shard& window, RowRange range, bool with_offsets) const;
  void pass_of_rows(const Shard& window, RowRange range, const Pass& pass, double* sums) const;
  void pass_of_classes(const Shard& window, RowRange range, const Pass& pass, double* room, double* sums) const;
  ClassSums class_sums(MarginUse use, double* sums) const;

  const KernelTable& table_;
  Loss loss_;
  std::size_t outputs_;
};

}  // namespace muster
