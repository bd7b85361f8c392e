#include "objective/row_loss.h"

#include <cmath>

#include "base/check.h"
#include "kernels/sparse_rows.h"

namespace muster {
namespace {

// [Σ s loss, wrong side, uncertainty]: the head of every array of sums.
constexpr std::size_t kLoss = 0, kWrongSide = 1, kUncertainty = 2;

bool of_a_loss(MarginUse use) {
  return use == MarginUse::loss || use == MarginUse::line;
}

ClassFunction class_function(MarginUse use) {
  return of_a_loss(use)            ? ClassFunction::softmax
         : use == MarginUse::bound ? ClassFunction::bound
                                   : ClassFunction::hessian;
}

template <class T>
void run_pass(const KernelTable& table, DenseRows<T> rows, RowData data, const MarginRequest& request, PassSums& sums,
              double* gradient) {
  table.dense<T>().pass(rows, data, request, sums, gradient);
}
template <class T>
void run_pass(const KernelTable& table, SparseRows<T> rows, RowData data, const MarginRequest& request, PassSums& sums,
              double* gradient) {
  sparse_pass(table, rows, data, request.function, request.u, request.intercept, request.margins, sums, gradient);
}

template <class T>
void write_margins(const KernelTable& table, DenseRows<T> rows, const double* u, const double* centre, double* out) {
  table.dense<T>().margins(rows, u, centre, out);
}
template <class T>
void write_margins(const KernelTable& table, SparseRows<T> rows, const double* u, const double*, double* out) {
  table.sparse<T>().margins(rows, u, out);
}

template <class T>
void add_multiples(const KernelTable& table, DenseRows<T> rows, const double* residuals, const double* centre,
                   double* sums) {
  table.dense<T>().add_centred(rows, residuals, centre, sums);
}
template <class T>
void add_multiples(const KernelTable& table, SparseRows<T> rows, const double* residuals, const double*, double* sums) {
  table.sparse<T>().add_multiples(rows, residuals, sums);
}

template <class T>
const DenseKernels<T>& class_kernels(const KernelTable& table, DenseRows<T>) {
  return table.dense<T>();
}
template <class T>
const SparseKernels<T>& class_kernels(const KernelTable& table, SparseRows<T>) {
  return table.sparse<T>();
}

void add_to(double* sums, std::size_t residual, const PassSums& of_block) {
  sums[kLoss] += of_block.loss;
  sums[kWrongSide] += of_block.wrong_side;
  sums[kUncertainty] += of_block.uncertainty;
  sums[residual] += of_block.residual;
}

}  // namespace

double largest_curvature(Loss loss) {
  return loss == Loss::logistic ? 0.25 : loss == Loss::softmax ? 0.5 : 1;
}

RowLoss::RowLoss(const KernelTable& table, Loss loss, std::size_t outputs)
    : table_(table), loss_(loss), outputs_(outputs) {
  MUSTER_CHECK(loss == Loss::softmax ? outputs >= 2 : outputs == 1, "as many outputs as the loss has margins");
}

std::size_t RowLoss::tallies() const {
  return loss_ == Loss::squared ? 0 : loss_ == Loss::logistic ? 2 : 1 + outputs_ * (outputs_ - 1) / 2;
}

void RowLoss::write_tallies(std::span<const double> sums, std::span<double> tallies) const {
  if (loss_ == Loss::squared) return;
  tallies[0] = sums[kWrongSide];
  if (loss_ == Loss::logistic) tallies[1] = sums[kUncertainty];
  std::size_t at = 1;
  for (std::size_t a = 0; a < outputs_; ++a)
    for (std::size_t b = a + 1; b < outputs_; ++b) tallies[at++] = sums[overlaps() + a * stride() + b];
}

AlignedVector<double> RowLoss::room(const RowShape& shape) const {
  return AlignedVector<double>(outputs_ == 1 ? 0 : class_room(shape.sparse ? 0 : shape.cols, outputs_));
}

RowData RowLoss::data_of(const Shard& window, RowRange range, bool with_offsets) const {
  RowData data = row_data(window, range.begin);
  if (outputs_ > 1 || !with_offsets) data.offsets = nullptr;
  return data;
}

ClassSums RowLoss::class_sums(MarginUse use, double* sums) const {
  return {0, 0, sums + residuals(), sums + gradient(), use == MarginUse::loss ? sums + overlaps() : nullptr};
}

void RowLoss::pass(const Shard& window, RowRange range, const Pass& pass, double* room, double* sums) const {
  if (outputs_ == 1) {
    pass_of_rows(window, range, pass, sums);
  } else {
    pass_of_classes(window, range, pass, room, sums);
  }
}

void RowLoss::pass_of_rows(const Shard& window, RowRange range, const Pass& pass, double* sums) const {
  const bool loss = of_a_loss(pass.use);
  RowData data = data_of(window, range, loss);
  AlignedVector<double> curved;
  if (pass.use == MarginUse::hessian) {
    curved.resize(range.size());
    table_.logistic_curvatures(pass.at, range.size(), data.weights, curved.data());
    data.weights = curved.data();
  }
  const MarginRequest request{loss ? row_function() : RowFunction::product, pass.point.u.data(), pass.centre,
                              pass.point.shift[0], pass.margins};
  PassSums of_block;
  visit_rows(window, range, [&](auto rows) { run_pass(table_, rows, data, request, of_block, sums + gradient()); });
  add_to(sums, residuals(), of_block);
}

void RowLoss::pass_of_classes(const Shard& window, RowRange range, const Pass& pass, double* room, double* sums) const {
  ClassSums of_block = class_sums(pass.use, sums);
  const ClassRequest request{class_function(pass.use), outputs_, pass.point.u.data(), pass.centre,
                             pass.point.shift.data(),  pass.at,  pass.margins};
  visit_rows(window, range, [&](auto rows) {
    class_kernels(table_, rows).class_pass(rows, data_of(window, range, false), request, room, of_block);
  });
  sums[kLoss] += of_block.loss;
  sums[kWrongSide] += of_block.wrong_side;
}

void RowLoss::margins(const Shard& window, RowRange range, const ModelPoint& point, const double* centre,
                      bool with_offsets, double* room, double* out) const {
  visit_rows(window, range, [&](auto rows) {
    if (outputs_ == 1) {
      write_margins(table_, rows, point.u.data(), centre, out);
    } else {
      ClassRequest request{ClassFunction::softmax, outputs_, point.u.data(), centre, point.shift.data()};
      request.margins = out;
      class_kernels(table_, rows).class_margins(rows, request, room);
    }
  });
  if (outputs_ > 1) return;
  const RowData data = data_of(window, range, with_offsets);
  for (std::size_t i = 0; i < range.size(); ++i) out[i] = out[i] + point.shift[0] + offset_of(data, i);
}

void RowLoss::residuals(MarginUse use, double* margins, double* at, std::size_t count, RowData data,
                        double* sums) const {
  if (outputs_ > 1) {
    ClassSums of_rows = class_sums(use, sums);
    table_.class_residuals(class_function(use), margins, at, count, data, outputs_, of_rows);
    sums[kLoss] += of_rows.loss;
    sums[kWrongSide] += of_rows.wrong_side;
    return;
  }
  data.offsets = nullptr;
  if (use == MarginUse::hessian) {
    table_.logistic_curvatures(at, count, data.weights, at);
    data.weights = at;
  }
  PassSums of_rows;
  table_.residuals(of_a_loss(use) ? row_function() : RowFunction::product, margins, count, data, margins, of_rows);
  add_to(sums, residuals(), of_rows);
}

void RowLoss::add_gradient(const Shard& window, RowRange range, const double* residuals, const double* centre,
                           double* room, double* sums) const {
  visit_rows(window, range, [&](auto rows) {
    if (outputs_ == 1) {
      add_multiples(table_, rows, residuals, centre, sums + gradient());
    } else {
      class_kernels(table_, rows).add_class_products(rows, residuals, outputs_, centre, room, sums + gradient());
    }
  });
}

}  // namespace muster
