// Is the gradient of dense rows as fast as reading them? Each case is timed in turns with a loop that only reads the
// same buffer with as many threads, which is the limit: f and ∇f read every row once. The last columns are the same two
// losses as they are written with NumPy (peers/numpy_gradient.py), on a matrix of the same shape and with as many
// threads, where the Python named has NumPy.
//
//     objective_dense [PYTHON [SHARE]]      defaults python3 1; SHARE makes the rows fewer
//
// Centred and scaled, as `train` does it. Best of the turns.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "objective/linear_rows.h"
#include "ratios.h"
#include "read_memory.h"

namespace {

using namespace muster;

constexpr int kTurns = 9;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Cheap, and different from row to row; filled by the threads that use them.
template <class T>
Shard rows_of(std::size_t rows, std::size_t cols, Executor& executor) {
  constexpr std::size_t kRows = 1024;
  Shard shard;
  DenseMatrix matrix{rows, cols, AlignedVector<T>(rows * cols)};
  auto& values = std::get<RowArray<T>>(matrix.values);
  shard.targets.resize(rows);
  executor.run((rows + kRows - 1) / kRows, [&](std::size_t part, int) {
    std::uint64_t state = 0x9e3779b97f4a7c15 * (part + 1);
    for (std::size_t i = part * kRows; i < std::min(rows, (part + 1) * kRows); ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        state = state * 6364136223846793005 + 1442695040888963407;
        values[i * cols + j] = static_cast<T>(static_cast<std::int64_t>(state) >> 40) / static_cast<T>(1 << 22);
      }
      shard.targets[i] = static_cast<double>(state >> 63);
    }
  });
  shard.matrix = std::move(matrix);
  return shard;
}

struct Seconds {
  double squared = 1e30, logistic = 1e30;
};

// NumPy's, or nothing where this Python has none.
std::optional<Seconds> numpy_seconds(const std::string& python, std::size_t rows, std::size_t cols, const char* type,
                                     int threads) {
  const std::string script = std::string(MUSTER_BENCH_DIR) + "/peers/numpy_gradient.py";
  const std::string command =
      fmt::format("OPENBLAS_NUM_THREADS={0} OMP_NUM_THREADS={0} {1} {2} {3} {4} {5} 2>/dev/null", threads, python,
                  script, rows, cols, type);
  std::array<char, 64> line{};
  FILE* peer = popen(command.c_str(), "r");
  if (!peer) return std::nullopt;
  const bool answered = std::fgets(line.data(), line.size(), peer) != nullptr;
  if (pclose(peer) != 0 || !answered) return std::nullopt;
  char* rest = nullptr;
  const double squared = std::strtod(line.data(), &rest);
  return Seconds{squared, std::strtod(rest, nullptr)};
}

template <class T>
void compare(std::size_t rows, std::size_t cols, int threads, const std::string& python, bench::Ratios& ratios) {
  const char* type = sizeof(T) == sizeof(double) ? "float64" : "float32";
  double limit = 1e30;
  Seconds own;
  {
    Executor executor(threads);
    const Shard shard = rows_of<T>(rows, cols, executor);
    LinearRows linear(shard, executor, best_instruction_set());
    const Scaling scaling{AlignedVector<double>(cols, 0.01), std::vector<double>(cols, 1.5)};
    LinearObjective regression(linear, Loss::squared, scaling, true);
    LinearObjective classifier(linear, Loss::logistic, scaling, true);
    std::vector<double> w(regression.dimension(), 0.01), gradient(w.size()), tallies(classifier.tallies());
    double value = 0;
    const auto& values = std::get<RowArray<T>>(std::get<DenseMatrix>(shard.matrix).values);
    for (int turn = 0; turn < kTurns; ++turn) {
      limit = std::min(limit, bench::seconds_to_read(values.data(), values.size() * sizeof(T), executor));
      own.squared = std::min(own.squared, seconds_of([&] { regression.value_and_gradient(w, value, gradient, {}); }));
      own.logistic =
          std::min(own.logistic, seconds_of([&] { classifier.value_and_gradient(w, value, gradient, tallies); }));
    }
  }
  const double bytes = static_cast<double>(rows * cols * sizeof(T));
  const std::optional<Seconds> peer = numpy_seconds(python, rows, cols, type, threads);
  const std::string over_numpy =
      peer ? fmt::format("{:4.2f} | {:4.2f}", peer->squared / own.squared, peer->logistic / own.logistic)
           : "absent | absent";
  fmt::print("| {:>9} | {:>4} | {} | {} | {:5.1f} | {:4.2f} | {:4.2f} | {} |\n", rows, cols, type, threads,
             bytes / limit / 1e9, limit / own.squared, limit / own.logistic, over_numpy);
  std::fflush(stdout);
  const std::string name = fmt::format("dense-{}-{}-{}", cols, type, threads);
  ratios.add(name, limit / own.squared);
  ratios.add(name + "-logistic", limit / own.logistic);
  if (peer) {
    ratios.add(name + "-numpy", peer->squared / own.squared);
    ratios.add(name + "-numpy-logistic", peer->logistic / own.logistic);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string python = argc > 1 ? argv[1] : "python3";
  const double share = argc > 2 ? std::atof(argv[2]) : 1;
  bench::Ratios ratios;
  fmt::print("{}\n", name(best_instruction_set()));
  fmt::print(
      "| rows | columns | stored | threads | reading, GB/s | squared | logistic | NumPy squared | NumPy logistic |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const std::size_t cols : {100, 1000}) {
    const auto rows = static_cast<std::size_t>(share * 200e6 / static_cast<double>(cols));
    for (const int threads : {1, 2}) {
      compare<double>(rows, cols, threads, python, ratios);
      compare<float>(rows, cols, threads, python, ratios);
    }
  }
  ratios.print();
}
