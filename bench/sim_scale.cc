// What the simulator itself costs: synchronous rounds of MapReduce (compute, then an allreduce of the gradient and the
// value) with a model of some columns, without the gradients' own arithmetic.
//
//     sim_scale [RANKS [ROUNDS [COLUMNS]]]      defaults 1000 100 1000
#include <fmt/core.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <vector>

#include "cluster/sim/sim_launch.h"

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  const int ranks = argument(1, 1000), rounds = argument(2, 100), columns = argument(3, 1000);
  muster::ClusterModel model;
  model.default_node.round_factor = muster::Distribution::exponential(1);
  const auto begin = std::chrono::steady_clock::now();
  const muster::SimReport report = muster::run_simulated(ranks, model, {}, [&](muster::Endpoint& e) {
    std::vector<double> sums(static_cast<std::size_t>(columns) + 1);
    for (int k = 0; k < rounds; ++k) {
      e.charge({.bytes = 8e3 * columns, .flops = 2e3 * columns});  // a thousand rows on each worker
      e.allreduce(sums, muster::ReduceOp::sum, muster::Deadline::never());
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  fmt::print(
      "{} ranks x {} rounds, {} columns: {:.2f} s ({:.2f} s of processor) for {:.3f} s of virtual time; "
      "{} messages, {:.2f} million per second; {} MB at most\n",
      ranks, rounds, columns, seconds, cpu, report.seconds, report.messages,
      static_cast<double>(report.messages) / seconds / 1e6, usage.ru_maxrss / 1000);
  return EXIT_SUCCESS;
}
