// Do threads without locks train faster than one? Seconds to the same objective with one thread and with two, on sparse
// rows and on dense ones, in one run.
//
// The claim is F. Niu, B. Recht, C. Ré, S. Wright, "Hogwild!", NIPS 2011: where rows are sparse, threads seldom meet in
// a column, and n of them do n times the work of one; where rows are dense every step needs cache lines that another
// thread has just written. Beside the ratio stands the share of a row's columns that a second thread, at work on
// another row, is changing: Σ_j d_j² / Σ_j d_j, with d_j the share of rows that have column j.
//
//     sparse   columns by Zipf's law with Mandelbrot's shift, as words in texts (its steepest columns as in RCV1's),
//              rows of unit length
//     dense    normal values
//
// Both logistic, with targets drawn from a model. The objective to reach lies 1/1000 of the way from F's minimum (by
// L-BFGS) to F at 0. Medians over repetitions, which take turns.
//
// Speedups are to the objective, and of a round (a pass, and F and its gradient after it) alone: with several threads
// the number of rounds is a matter of chance, too.
//
//     hogwild [REPETITIONS [THREADS]]      defaults 7 2
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "cluster/threads/threads_launch.h"
#include "objective/linear_rows.h"
#include "ratios.h"
#include "solver/lbfgs.h"
#include "train/hogwild.h"
#include "train/mapreduce.h"

namespace {

using namespace muster;

constexpr double kPenalty = 1e-4;
constexpr double kReached = 1e-3;

class Draws {
 public:
  double uniform() { return random_.uniform(drawn_++); }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  RandomStream random_{2011, 0, RandomPurpose::start_vector};
  std::uint64_t drawn_ = 0;
};

struct Rows {
  std::string name;
  Shard shard;
  double shared_columns = 0;
};

double target(Draws& draws, double margin) {
  return draws.uniform() < 1 / (1 + std::exp(-margin)) ? 1 : 0;
}

Rows sparse_rows(std::size_t rows, std::size_t cols, int draws_of_a_row) {
  Draws draws;
  std::vector<double> below(cols), truth(cols), share(cols);
  double sum = 0;
  for (std::size_t j = 0; j < cols; ++j) below[j] = sum += 1 / (static_cast<double>(j) + 30);
  for (double& t : truth) t = 4 * draws.normal();
  SparseMatrix matrix{rows, cols, {}, {}, {}};
  AlignedVector<double> values;
  Rows result{"sparse", {}};
  std::vector<std::uint32_t> row;
  matrix.row_begin.push_back(0);
  for (std::size_t i = 0; i < rows; ++i) {
    row.clear();
    for (int k = 0; k < draws_of_a_row; ++k) {
      const auto at = std::upper_bound(below.begin(), below.end() - 1, draws.uniform() * sum);
      row.push_back(static_cast<std::uint32_t>(at - below.begin()));
    }
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    const double value = 1 / std::sqrt(static_cast<double>(row.size()));
    double margin = 0;
    for (const std::uint32_t j : row) {
      matrix.columns.push_back(j);
      values.push_back(value);
      margin += value * truth[j];
      share[j] += 1 / static_cast<double>(rows);
    }
    matrix.row_begin.push_back(values.size());
    result.shard.targets.push_back(target(draws, margin));
  }
  double once = 0, twice = 0;
  for (const double d : share) once += d, twice += d * d;
  result.shared_columns = twice / once;
  matrix.values = std::move(values);
  result.shard.matrix = std::move(matrix);
  return result;
}

Rows dense_rows(std::size_t rows, std::size_t cols) {
  Draws draws;
  DenseMatrix matrix{rows, cols, AlignedVector<double>(rows * cols)};
  auto& values = std::get<0>(matrix.values);
  Rows result{"dense", {}, 1};
  for (std::size_t i = 0; i < rows; ++i) {
    double margin = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      values[i * cols + j] = draws.normal();
      margin += values[i * cols + j] * (j % 2 == 0 ? 0.2 : -0.2);
    }
    result.shard.targets.push_back(target(draws, margin));
  }
  result.shard.matrix = std::move(matrix);
  return result;
}

// The user's own units, as penalties and step lengths see them; only centred where dense, which is 0 here anyway.
Scaling plain(std::size_t cols) {
  return {AlignedVector<double>(cols, 0.0), std::vector<double>(cols, 1.0)};
}

struct Run {
  double seconds = 0, value = 0;
  std::int64_t rounds = 0;
};

// Until F is at most `until`.
Run train(const Rows& rows, int threads, double until, bool by_lbfgs = false) {
  Run run;
  run_threads(1, {}, [&](Endpoint& endpoint) {
    Executor executor(threads);
    LinearRows linear(rows.shard, executor, best_instruction_set());
    LinearObjective objective(linear, Loss::logistic, plain(rows.shard.cols()), true);
    MapReduceOptions options;
    options.penalty.assign(objective.dimension(), kPenalty);
    options.penalty.back() = 0;
    options.judge = [&](const RoundState& state) -> Problem::Verdict {
      run.value = state.value;
      return {state.value <= until || state.gradient_norm < 1e-7, StopReason::converged, ""};
    };
    MapReduce problem(objective, endpoint, options);
    const std::vector<double> start(objective.dimension());
    const auto begin = std::chrono::steady_clock::now();
    run.rounds =
        by_lbfgs
            ? minimise_lbfgs(problem, start, {}).rounds
            : minimise_hogwild(problem, objective, rows.shard, executor, start, {.penalty = options.penalty}).rounds;
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  });
  return run;
}

Run median(std::vector<Run> runs) {
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.seconds < b.seconds; });
  return runs[runs.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 7, threads = argc > 2 ? std::atoi(argv[2]) : 2;
  bench::Ratios ratios;
  fmt::print("{:<8} {:>8} {:>8} {:>10} {:>8} {:>12} {:>12} {:>8} {:>8} {:>8}\n", "rows", "", "columns", "a row has",
             "shared", "1 thread, s", fmt::format("{} threads", threads), "rounds", "speedup", "a round");
  for (const Rows& rows : {sparse_rows(60'000, 50'000, 75), dense_rows(20'000, 100)}) {
    const double zero = std::log(2.0), best = train(rows, threads, 0, true).value;
    const double until = best + kReached * (zero - best);
    std::vector<Run> one, several;
    for (int k = 0; k < repetitions; ++k) {
      one.push_back(train(rows, 1, until));
      several.push_back(train(rows, threads, until));
    }
    const Run alone = median(one), together = median(several);
    const auto* matrix = std::get_if<SparseMatrix>(&rows.shard.matrix);
    const double entries = matrix ? static_cast<double>(matrix->columns.size()) / static_cast<double>(matrix->rows)
                                  : static_cast<double>(rows.shard.cols());
    fmt::print(
        "{:<8} {:>8} {:>8} {:>10.1f} {:>8.3f} {:>12.3f} {:>12.3f} {:>8} {:>8.2f} {:>8.2f}\n", rows.name,
        rows.shard.rows(), rows.shard.cols(), entries, rows.shared_columns, alone.seconds, together.seconds,
        fmt::format("{}, {}", alone.rounds, together.rounds), alone.seconds / together.seconds,
        alone.seconds * static_cast<double>(together.rounds) / (together.seconds * static_cast<double>(alone.rounds)));
    ratios.add(fmt::format("hogwild-{}-{}", rows.name, threads), alone.seconds / together.seconds);
  }
  ratios.print();
  return EXIT_SUCCESS;
}
