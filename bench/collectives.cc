// What collectives cost beside what they can not do without, two ranks, best of the turns, in microseconds.
//
//     collectives
//     mpirun -n N [--mca btl tcp,self] collectives RANKS_PER_HOST
//
// On threads, beside copying the values once in memory (broadcast) and adding as many to others (reduce, allreduce).
// Under mpirun, beside MPI_Allreduce alone, blocking, on the same values: two ranks of one host, which share memory,
// and two that do as if each had a host of its own, over TCP. Ours has an eye on deadlines and on the other ranks, and
// adds in a fixed order.
#include <fmt/core.h>
#include <malloc.h>
#define OMPI_SKIP_MPICXX
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cluster/mpi/mpi_launch.h"
#include "cluster/threads/threads_launch.h"
#include "ratios.h"

namespace {

using namespace muster;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of several calls in a row, and several rows of calls, each begun together.
double best_of(Endpoint& endpoint, std::size_t values, const std::function<void()>& call) {
  const int calls = static_cast<int>(std::clamp<std::size_t>(2'000'000 / values, 5, 2000));
  double best = 1e30;
  for (int turn = 0; turn < 7; ++turn) {
    endpoint.barrier(Deadline::never());
    best = std::min(best, seconds_of([&] {
                      for (int k = 0; k < calls; ++k) call();
                    }));
  }
  return best / calls;
}

double in_memory(std::size_t values, bool add) {
  const std::vector<double> from(values, 1.0);
  std::vector<double> to(values, 2.0);
  double best = 1e30;
  for (int turn = 0; turn < 30; ++turn) {
    best = std::min(best, seconds_of([&] {
                      for (std::size_t i = 0; i < values; ++i) to[i] = add ? to[i] + from[i] : from[i];
                    }));
  }
  volatile double result = to[values / 2];
  static_cast<void>(result);
  return best;
}

constexpr std::size_t kSizes[] = {10, 1'000, 100'000, 1'000'000};

void on_threads(Endpoint& endpoint, bench::Ratios& ratios) {
  for (const std::size_t size : kSizes) {
    std::vector<double> values(size, 1e-300);
    const Deadline never = Deadline::never();
    const double broadcast = best_of(endpoint, size, [&] { endpoint.broadcast(values, 0, never); });
    const double reduce = best_of(endpoint, size, [&] { endpoint.reduce(values, ReduceOp::sum, 0, never); });
    const double both = best_of(endpoint, size, [&] { endpoint.allreduce(values, ReduceOp::sum, never); });
    if (endpoint.rank() != 0) continue;
    const double copy = in_memory(size, false), add = in_memory(size, true);
    if (size == kSizes[3]) {
      ratios.add("threads-broadcast", copy / broadcast);
      ratios.add("threads-reduce", add / reduce);
      ratios.add("threads-allreduce", (add + copy) / both);
    }
    fmt::print("| {} | {:.1f} | {:.2f} | {:.1f} | {:.2f} | {:.1f} | {:.2f} |\n", size, broadcast * 1e6,
               broadcast / copy, reduce * 1e6, reduce / add, both * 1e6, both / (add + copy));
  }
}

void under_mpi(Endpoint& endpoint, const std::string& name) {
  bench::Ratios ratios;
  for (const std::size_t size : kSizes) {
    std::vector<double> values(size, 1e-300), sums(size);
    double bare = 1e30, own = 1e30;
    for (int turn = 0; turn < 3; ++turn) {
      bare = std::min(bare, best_of(endpoint, size, [&] {
                        MPI_Allreduce(values.data(), sums.data(), static_cast<int>(size), MPI_DOUBLE, MPI_SUM,
                                      MPI_COMM_WORLD);
                      }));
      own =
          std::min(own, best_of(endpoint, size, [&] { endpoint.allreduce(values, ReduceOp::sum, Deadline::never()); }));
    }
    if (endpoint.rank() != 0) continue;
    fmt::print("| {} | {:.1f} | {:.1f} | {:.2f} |\n", size, bare * 1e6, own * 1e6, own / bare);
    ratios.add(fmt::format("{}-allreduce-{}", name, size), bare / own);
  }
  ratios.print();
}

}  // namespace

int main(int count, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // as the command does
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  if (launched_by_mpi()) {
    const int ranks_per_host = count > 1 ? std::atoi(argv[1]) : 0;
    run_mpi({.ranks_per_host = ranks_per_host},
            [&](Endpoint& endpoint) { under_mpi(endpoint, ranks_per_host != 0 ? "tcp" : "mpi"); });
    return 0;
  }
  fmt::print("| values, threads | broadcast | over a copy | reduce | over adding | allreduce | over both |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- |\n");
  bench::Ratios ratios;
  run_threads(2, {}, [&](Endpoint& endpoint) { on_threads(endpoint, ratios); });
  ratios.print();
  bool failed = false;
  for (const char* how : {"{}", "--mca btl tcp,self {} 1"}) {
    fmt::print("\n| values, {} | MPI_Allreduce | allreduce | ratio |\n| --- | --- | --- | --- |\n",
               how[0] == '{' ? "MPI, one host" : "MPI, TCP loopback");
    std::fflush(stdout);
    const std::string command = "mpirun --bind-to none --oversubscribe -n 2 " + fmt::format(fmt::runtime(how), argv[0]);
    failed = std::system(command.c_str()) != 0 || failed;
  }
  return failed ? 1 : 0;
}
