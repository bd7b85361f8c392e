// XᵀX of a panel of 256 rows, added up over many: Muster's kernel against OpenBLAS's dsyrk, which computes the same
// triangle, and dgemm, which is given twice the work, one thread, in turns. Prints, for each instruction set and order,
// the rates and the ratios to both.
#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/aligned.h"
#include "kernels/kernel_table.h"
#include "ratios.h"

namespace muster {
namespace {

constexpr std::size_t kRows = 256;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Our rate over dgemm's.
double compare(const KernelTable& table, std::size_t order) {
  AlignedVector<double> panel(kRows * order), sums(order * order, 0.0), room(gram_room(order));
  for (std::size_t i = 0; i < panel.size(); ++i) panel[i] = 1e-3 * static_cast<double>(i % 1009);
  const double flops = static_cast<double>(kRows) * static_cast<double>(order * (order + 1));
  const int calls = std::max(1, static_cast<int>(1e9 / flops));
  const int p = static_cast<int>(order);
  double own = 1e30, blas = 1e30, product = 1e30;
  for (int turn = 0; turn < 7; ++turn) {
    own = std::min(own, seconds_of([&] {
                     for (int k = 0; k < calls; ++k) {
                       table.add_gram(panel.data(), kRows, order, room.data(), sums.data());
                     }
                   }));
    blas = std::min(blas, seconds_of([&] {
                      for (int k = 0; k < calls; ++k) {
                        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, p, kRows, 1.0, panel.data(), p, 1.0,
                                    sums.data(), p);
                      }
                    }));
    product = std::min(product, seconds_of([&] {
                         for (int k = 0; k < calls; ++k) {
                           cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, p, p, kRows, 1.0, panel.data(), p,
                                       panel.data(), p, 1.0, sums.data(), p);
                         }
                       }));
  }
  const double all = 2.0 * static_cast<double>(kRows * order * order);
  fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.2f} | {:.2f} |\n", name(table.set), order,
             flops * calls / own / 1e9, flops * calls / blas / 1e9, all * calls / product / 1e9, blas / own,
             flops / own / (all / product));
  return flops / own / (all / product);
}

}  // namespace
}  // namespace muster

int main() {
  muster::bench::Ratios ratios;
  fmt::print("| set | order | Gflop/s | dsyrk | dgemm | over dsyrk | over dgemm |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const muster::InstructionSet set : muster::available_instruction_sets()) {
    for (const std::size_t order : {5, 12, 30, 100, 300, 1000, 2000}) {
      const double ratio = muster::compare(muster::kernel_table(set), order);
      if (set == muster::best_instruction_set()) ratios.add(fmt::format("gram-{}", order), ratio);
    }
  }
  ratios.print();
}
