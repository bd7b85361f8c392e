// What the gradient of sparse rows costs, by turns within a few rows (`gradient`) and in the two halves of a search
// along a line (`halves`: look_along() and value_and_gradient_on_line()), against what it can not do without: reading
// the arrays once, gathering a coefficient for every entry, and adding to a gradient at every entry. Rows as
// bench/zipf_rows.h draws them; logistic.
//
//     objective_sparse [ROWS [COLUMNS [ENTRIES]]]      defaults 500000 1000000 40
//     objective_sparse --write FILE [ROWS [COLUMNS [ENTRIES]]]      as LIBSVM text, for `muster train` and peers
//
// Best of the turns.
#include <fmt/os.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "objective/linear_rows.h"
#include "ratios.h"
#include "zipf_rows.h"

namespace {

using namespace muster;

constexpr int kTurns = 7;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void write(const Shard& shard, const std::string& path) {
  const auto& matrix = std::get<SparseMatrix>(shard.matrix);
  const auto& values = std::get<RowArray<double>>(matrix.values);
  auto file = fmt::output_file(path);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    file.print("{}", shard.targets[i] > 0 ? "+1" : "-1");
    for (std::size_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k)
      file.print(" {}:{}", matrix.columns[k] + 1, static_cast<float>(values[k]));
    file.print("\n");
  }
}

// Parts of the entries, one for each thread and then some.
template <class Work>
void for_parts(Executor& executor, std::size_t entries, const Work& work) {
  constexpr std::size_t kPart = 1 << 20;
  executor.run((entries + kPart - 1) / kPart, [&](std::size_t part, int thread) {
    work(part * kPart, std::min(entries, (part + 1) * kPart), thread);
  });
}

template <class T>
void compare(const Shard& shard, int threads, bench::Ratios& ratios) {
  const auto& matrix = std::get<SparseMatrix>(shard.matrix);
  const auto& values = std::get<RowArray<T>>(matrix.values);
  const std::size_t entries = values.size();
  Executor executor(threads);
  LinearRows linear(shard, executor, best_instruction_set());
  const Scaling scaling{AlignedVector<double>(matrix.cols, 0.0), std::vector<double>(matrix.cols, 1.0)};
  LinearObjective objective(linear, Loss::logistic, scaling, true);
  std::vector<double> w(objective.dimension(), 0.01), gradient(w.size()), tallies(objective.tallies());
  const std::vector<double> further(w.size(), 0.02);
  AlignedVector<double> from(matrix.cols, 0.01);
  std::vector<AlignedVector<double>> to(static_cast<std::size_t>(threads), AlignedVector<double>(matrix.cols, 0.0));
  double value = 0;
  double reading = 1e30, gathering = 1e30, scattering = 1e30, own = 1e30, halves = 1e30;
  for (int turn = 0; turn < kTurns; ++turn) {
    reading = std::min(reading, seconds_of([&] {
                         for_parts(executor, entries, [&](std::size_t begin, std::size_t end, int) {
                           std::uint64_t columns = 0;
                           T sum = 0;
                           for (std::size_t k = begin; k < end; ++k) columns += matrix.columns[k];
                           for (std::size_t k = begin; k < end; k += 64 / sizeof(T)) sum += values[k];
                           volatile double result = static_cast<double>(sum) + static_cast<double>(columns);
                           static_cast<void>(result);
                         });
                       }));
    gathering = std::min(gathering, seconds_of([&] {
                           for_parts(executor, entries, [&](std::size_t begin, std::size_t end, int) {
                             double sums[4] = {};
                             for (std::size_t k = begin; k < end; ++k) sums[k % 4] += from[matrix.columns[k]];
                             volatile double result = sums[0] + sums[1] + sums[2] + sums[3];
                             static_cast<void>(result);
                           });
                         }));
    scattering = std::min(scattering, seconds_of([&] {
                            for_parts(executor, entries, [&](std::size_t begin, std::size_t end, int thread) {
                              double* sums = to[static_cast<std::size_t>(thread)].data();
                              for (std::size_t k = begin; k < end; ++k) sums[matrix.columns[k]] += 1;
                            });
                          }));
    own = std::min(own, seconds_of([&] { objective.value_and_gradient(w, value, gradient, tallies); }));
    halves = std::min(halves, seconds_of([&] {
                        objective.look_along(w, further);
                        objective.value_and_gradient_on_line(1, further, value, gradient, tallies);
                      }));
    objective.value_and_gradient(w, value, gradient, tallies);  // whose margins the next turn begins with
  }
  fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.2f} |\n",
             sizeof(T) == 4 ? "float32" : "float64", threads, reading * 1e3, gathering * 1e3, scattering * 1e3,
             own * 1e3, halves * 1e3, halves / (gathering + scattering));
  ratios.add(fmt::format("sparse-float{}-{}", 8 * sizeof(T), threads), (gathering + scattering) / own);
  ratios.add(fmt::format("sparse-float{}-{}-halves", 8 * sizeof(T), threads), (gathering + scattering) / halves);
}

Shard as_float32(Shard shard) {
  auto& matrix = std::get<SparseMatrix>(shard.matrix);
  const auto& values = std::get<RowArray<double>>(matrix.values);
  matrix.values = AlignedVector<float>(values.begin(), values.end());
  return shard;
}

}  // namespace

int main(int argc, char** argv) {
  const bool to_file = argc > 2 && std::strcmp(argv[1], "--write") == 0;
  const auto number = [&](int at, std::size_t otherwise) {
    at += to_file ? 2 : 0;
    return argc > at ? static_cast<std::size_t>(std::strtoull(argv[at], nullptr, 10)) : otherwise;
  };
  const Shard shard = bench::zipf_rows(number(1, 500'000), number(2, 1'000'000), number(3, 40));
  if (to_file) {
    write(shard, argv[2]);
    return 0;
  }
  bench::Ratios ratios;
  const Shard narrow = as_float32(shard);
  fmt::print("{}; milliseconds\n", name(best_instruction_set()));
  fmt::print("| stored | threads | reading | gathering | scattering | gradient | halves | over the two |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const int threads : {1, 2}) {
    compare<double>(shard, threads, ratios);
    compare<float>(narrow, threads, ratios);
  }
  ratios.print();
}
