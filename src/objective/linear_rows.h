// Passes over one worker's rows of a linear model: everything a trainer of linear models asks of the data.
//
// Sums depend neither on the number of threads nor on whether the rows are in memory or read anew (data/row_source.h):
// rows are summed in blocks of a fixed size (a function of the shape alone), within a block in fixed lanes, and blocks
// are added in a fixed binary tree (base/block_tree.h). On one instruction set the same rows give the same bits. A pass
// over rows that are read anew throws InputError where that fails.
//
// Threads: one call at a time; inside a call the Executor's threads share the rows.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/executor.h"
#include "data/row_source.h"
#include "data/shard.h"
#include "kernels/instruction_set.h"
#include "muster/objective.h"
#include "muster/options.h"
#include "objective/dealt_rows.h"
#include "objective/kept_margins.h"
#include "objective/renumbered_rows.h"
#include "objective/row_blocks.h"
#include "objective/row_loss.h"

namespace muster {

// A change of variables, x̃_j = (x_j − centre_j) / scale_j, that solvers work in. The objective stays what it is in the
// user's units. A constant column has scale 0: its x̃ is 0.
struct Scaling {
  AlignedVector<double> centre;  // read with every row
  std::vector<double> scale;

  // v_j / scale_j, or 0 for a constant column.
  std::vector<double> unscale(std::span<const double> v) const;
};

class LinearRows {
 public:
  // shard and executor must outlive it.
  LinearRows(const Shard& shard, Executor& executor, InstructionSet instruction_set);
  // Likewise source. budget: for what passes keep beside the rows; null: no limit.
  LinearRows(RowSource& source, Executor& executor, InstructionSet instruction_set, RowBudget* budget = nullptr);

  std::size_t rows() const { return shape().rows; }
  std::size_t columns() const { return shape().cols; }
  const RowShape& shape() const { return source_.shape(); }
  RowSource& source() const { return source_; }
  // The rows as passes that gather and scatter by column read them. numbers: of columns, as those of RenumberedRows;
  // empty where columns are what they are. Until rows are gained or lost.
  struct PassRows {
    RowSource& source;
    std::span<const std::uint32_t> numbers;
    std::size_t number_of(std::size_t column) const { return numbers.empty() ? column : numbers[column]; }
  };
  PassRows pass_rows();
  // The same passes over other rows, which outlive what is returned.
  LinearRows over(RowSource& other) const { return LinearRows(other, executor_, instruction_set_); }

  // Calls visit for every row, in order.
  void each_target(const std::function<void(double target, double weight)>& visit);

  // [S, Σ s (x_1 − c_1), …, Σ s (x_d − c_d), Σ s (t − c_{d+1})] with t = y − offset: d + 2 values to add over workers.
  Work centred_sums(std::span<const double> centre, std::span<double> sums);
  // [S, Σ s (x_j − c_j)² …, Σ s (t − c_{d+1})²]: all terms positive, sound at any offset. Sparse columns count their
  // zeros as (S − S_j)·c_j².
  Work centred_squares(std::span<const double> centre, std::span<double> sums);

  // Statistics of muster/objective.h with statistics.centre given; fills statistics.sums in statistics.precision.
  // double_double: differences, products and sums in double-double, powers recomputed from their base.
  Work accumulate(Statistics& statistics);

  // Targets of classes, to detect separation by one column: for each class and column the smallest and largest value
  // among rows of the class with s > 0: arrays of d, min and −max of class 0, then of class 1, …, so that workers
  // combine by minimum; +inf where there is none. Sparse rows count their zeros.
  Work ranges_by_class(std::size_t classes, std::span<double> ranges);

  // f's data part at a model in the user's units, for certificates: margins, residuals and sums in double-double (loss
  // functions in double). The model has as many outputs as intercepts; w: those of a column side by side. Writes pairs
  // (high, low) to add over workers with ReduceOp::sum_double_double: [Σ s loss, then by output Σ s ∂loss/∂margin, then
  // by column and output Σ s ∂loss/∂margin (x_j − c_j)].
  Work certify(Loss loss, std::span<const double> w, std::span<const double> intercepts, std::span<const double> centre,
               std::span<double> sums);
  // The same in two halves, for columns of which others hold the rest: margins as pairs (high, low), a row's outputs
  // side by side, to add over column blocks with ReduceOp::sum_double_double; and the sums from whole margins. Offsets
  // belong to the second half, the intercepts to the first.
  Work certify_margins(std::span<const double> w, std::span<const double> intercepts, std::span<double> margins);
  Work certify_at(Loss loss, std::size_t outputs, std::span<const double> margins, std::span<const double> centre,
                  std::span<double> sums);

 private:
  friend class LinearObjective;
  void check_certificate(Loss loss, std::size_t outputs, std::span<const double> centre,
                         std::span<const double> sums) const;

  std::unique_ptr<HeldRows> held_;  // where this was made of a shard
  RowSource& source_;
  Executor& executor_;
  InstructionSet instruction_set_;
  RowBudget* budget_ = nullptr;
  std::unique_ptr<RenumberedRows> renumbered_;
  std::optional<std::size_t> renumbered_rows_;  // how many rows there were when that was tried
};

// The data part of f in scaled coordinates. A loss has `outputs` margins a row: one, or for softmax one a class.
// Parameters: v_jk for each column j and output k, those of a column side by side, then the intercepts b_k where there
// are any.
//     margin_ik = Σ_j v_jk (x_ij − centre_j)/scale_j + b_k + o_i
// Softmax: loss_i = log Σ_k e^margin_ik − margin_iy, y being i's class. Offsets, and shifts of all classes by one
// (d+1)-vector, change nothing in it, and gradients have no part along them.
//
// Tallies. Logistic: [Σ_i 1(s_i > 0 and row i is not strictly on its side: (2y_i − 1)·margin_i <= 0), Σ s_i p_i(1 −
// p_i)]. Softmax: [Σ_i 1(s_i > 0 and another margin of row i is as large as its class's), Σ_i s_i p_a p_b for a < b, by
// rows].
//
// Hessian: Σ s L'' ⊗ x̃x̃ᵀ, with L'' the loss's second derivative by margins: a number, or diag p − ppᵀ. The bound has
// its supremum instead, for softmax Böhning's ½(I − 11ᵀ/K) (objective/row_loss.h).
//
// Each row is read from memory once per call. From the first call of hessian_product, begin_line or look_along on, the
// margins at the last two points are kept: two doubles a row and output. Of rows that are read anew only the points are
// kept, and value_on_line makes a pass. Sparse rows in memory look along lines: beside gathering their coefficients
// and scattering their residuals, reading them twice costs little, and steps close to the minimum save whole passes.
//
// As RowObjective: dense rows touch every parameter. Batches of sparse rows are scaled but not centred
// (objective/linear_batches.h says what is left to the caller); without an intercept their columns' centres are 0.
class LinearObjective final : public RowObjective, public MarginFunction {
 public:
  // rows must outlive it; where its source gains rows between two calls, the objective has them too. Targets of softmax
  // are classes.
  LinearObjective(LinearRows& rows, Loss loss, Scaling scaling, bool intercept, std::size_t outputs = 1);

  std::size_t dimension() const override { return (rows_.columns() + (intercept_ ? 1 : 0)) * outputs(); }
  std::size_t rows() const override { return rows_.rows(); }
  double weight() const override { return rows_.shape().weight; }
  std::size_t tallies() const override { return loss_.tallies(); }
  Work value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                          std::span<double> tallies) override;
  bool bounds_curvature() const override { return true; }
  Work curvature_product(std::span<const double> v, std::span<double> product) override;
  bool has_hessian() const override { return true; }
  Work hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override;
  std::optional<Work> begin_line(std::span<const double> a, std::span<const double> b) override;
  Work value_on_line(double t, double& value, double& slope) override;
  bool looks_along() const override { return !in_order() && rows_.shape().sparse; }
  Work look_along(std::span<const double> a, std::span<const double> b) override;
  Work value_and_gradient_on_line(double t, std::span<const double> w, double& value, std::span<double> gradient,
                                  std::span<double> tallies) override;

  // As MarginFunction: margins without offsets, which the rows have beside them; a row's side by side.
  std::size_t margin_count() const override { return rows() * outputs(); }
  Work margins(std::span<const double> v, std::span<double> margins) override;
  Work value_and_gradient_at(std::span<const double> margins, double& value, std::span<double> gradient,
                             std::span<double> tallies) override;
  Work value_on_line_at(std::span<const double> a, std::span<const double> b, double t, double& value,
                        double& slope) override;
  Work curvature_product_at(std::span<const double> margins, std::span<double> product) override;
  Work hessian_product_at(std::span<const double> margins, std::span<const double> of_v,
                          std::span<double> product) override;

  std::size_t deal(std::size_t rows, std::uint64_t seed) override;
  bool in_order() const override { return rows_.source().held() == nullptr; }
  std::span<const std::uint32_t> keys(std::size_t batch) override;
  double batch_weight(std::size_t batch) override;
  Work batch_gradient(std::size_t batch, std::span<const double> w, double& value, std::span<double> gradient) override;
  double largest_row_curvature() override;
  // What batches leave to the caller: centre_j / scale_j by parameter (0 for the intercepts); empty where the rows are
  // dense and nothing is left.
  std::vector<double> implicit_centre() const;

  Loss loss() const { return loss_.loss(); }
  std::size_t outputs() const { return loss_.outputs(); }
  const Scaling& scaling() const { return scaling_; }
  bool has_intercept() const { return intercept_; }

 private:
  struct FusedPass;
  struct MarginPass;

  BatchModel batch_model() const;
  // The sums of a pass: add_block(window, range, room, sums) adds those of a block.
  template <class AddBlock>
  Sums sum_blocks(const AddBlock& add_block);
  template <class Visit>
  void each_coefficient(const Visit& visit) const;
  ModelPoint point_at(std::span<const double> v);
  // What a pass is done with.
  void keep(Sums sums);
  void keep(ModelPoint point);
  // ∂f/∂v from the sums of a pass, times factor. Of sparse rows, which are not centred, with what centres make.
  void write_gradient(const Sums& sums, double factor, std::span<double> gradient) const;
  // f and ∇f from the sums of a pass, which are then kept.
  void take_sums(Sums sums, double& value, std::span<double> gradient, std::span<double> tallies);
  // Of rows in memory, at v.
  void write_margins(std::span<const double> v, bool with_offsets, std::span<double> out);
  // With offsets, kept from a pass before or found now.
  std::span<const double> kept_margins(std::span<const double> w, Work& work);
  // Of how many margins are kept.
  std::size_t margins_kept() const { return in_order() ? 0 : margin_count(); }
  Work work_of(double flops_per_value) const;  // of a pass, for each value and output
  Work work_on_line() const;

  LinearRows& rows_;
  RowLoss loss_;
  Scaling scaling_;
  std::vector<double> inverse_scale_;  // 0 of a constant column
  bool shifted_;                       // sparse rows, which are not centred, of columns that have a centre
  bool intercept_;
  DealtRows dealt_;
  std::optional<KeptMargins> margins_;  // nothing: not asked for
  std::array<std::size_t, 2> line_{};   // where the margins of its ends are
  Spares<Sums> spares_;
  AlignedVector<double> spare_u_;
};

template <class AddBlock>
Sums LinearObjective::sum_blocks(const AddBlock& add_block) {
  RowSource& source = rows_.pass_rows().source;
  const RowShape& shape = source.shape();
  const std::size_t length = loss_.length(shape.cols);
  std::erase_if(spares_, [&](const auto& sums) { return sums->values.size() != length; });  // rows came or went
  std::vector<AlignedVector<double>> rooms(static_cast<std::size_t>(rows_.executor_.threads()), loss_.room(shape));
  return sum_rows(
      source, rows_.executor_, rows_per_block(rows_.shape()), [length] { return Sums(length); },
      [&](const Shard& window, RowRange range, int thread, Sums& sums) {
        add_block(window, range, rooms[static_cast<std::size_t>(thread)].data(), sums.values.data());
      },
      &spares_);
}

// H with aᵀHa = ∂²f/∂b² along a, from the tallies of softmax: K × K, Σ_k H_ak = 0.
std::vector<double> curvature_by_intercepts(std::span<const double> tallies, std::size_t classes, double weight);

}  // namespace muster
