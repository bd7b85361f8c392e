#include "engine/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cluster/mpi/mpi_launch.h"
#include "cluster/sim/cluster_file.h"
#include "cluster/sim/sim_launch.h"
#include "cluster/threads/threads_launch.h"
#include "engine/check_options.h"
#include "muster/error.h"
#include "muster/muster.h"

namespace muster {
namespace {

// Those this process may use: so many workers are started, or threads of hogwild, where no number was asked for.
int processors() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// How many ranks to start: the workers asked for, as many as the simulated cluster has room for, or one per processor;
// and the servers.
int ranks_of(const RunOptions& run, int nodes) {
  const int servers = servers_of(run);
  if (run.workers != 0) return run.workers + servers;
  if (run.solver == SolverChoice::hogwild) return 1;
  return nodes != 0 ? nodes : processors() + servers;
}

void check_ranks(const RunOptions& run, int ranks) {
  if (run.solver == SolverChoice::hogwild && ranks != std::max(run.workers, 1))
    throw InputError("--solver hogwild is one worker whose threads share the model: drop mpirun, and say --threads");
  const int workers = readers_of(run, ranks);
  if (workers < 1) {
    throw InputError(
        fmt::format("--servers {} leaves no worker among {} rank{}: start more ranks, or ask for fewer servers",
                    run.server.servers, ranks, ranks == 1 ? "" : "s"));
  }
  if (run.workers == 0 || workers == run.workers) return;
  throw InputError(
      fmt::format("--workers {} does not fit the launcher's {} ranks: drop --workers", run.workers, ranks));
}

// The cluster of --simulate, or the uniform one.
ClusterModel simulated_cluster(const RunOptions& run) {
  ClusterModel model = run.simulate.empty() ? ClusterModel{} : read_cluster_file(run.simulate);
  if (run.seed != 0) model.seed = run.seed;
  return model;
}

}  // namespace

TransportChoice choose_transport(const RunOptions& run) {
  const bool launched = launched_by_mpi();
  if (run.transport == TransportChoice::mpi && !mpi_available()) {
    throw InputError(
        "--transport mpi: this build of muster lacks MPI: install Open MPI (libopenmpi-dev, openmpi-bin) and build "
        "again");
  }
  if (run.transport == TransportChoice::mpi && !launched) {
    throw InputError("--transport mpi needs a launcher: put 'mpirun -n N' in front of the command");
  }
  const bool simulated = run.transport == TransportChoice::sim || !run.simulate.empty();
  if (simulated && run.transport != TransportChoice::sim && run.transport != TransportChoice::automatic) {
    throw InputError("--simulate runs on the simulated cluster alone: drop --transport, or say --transport sim");
  }
  if (simulated && launched) {
    throw InputError("a simulated cluster runs in one process: drop mpirun, or drop --transport sim and --simulate");
  }
  if (simulated) return TransportChoice::sim;
  if (run.transport == TransportChoice::threads && launched) {
    throw InputError("under mpirun the ranks are the workers: drop --transport threads, or drop mpirun");
  }
  return launched ? TransportChoice::mpi : TransportChoice::threads;
}

bool silent_rank() {
  return launched_by_mpi() && mpi_rank_from_environment() != 0;
}

const char* name(TransportChoice transport) {
  switch (transport) {
    case TransportChoice::mpi:
      return "mpi";
    case TransportChoice::sim:
      return "sim";
    default:
      return "threads";
  }
}

ReducePattern pattern_used(const RunOptions& run, TransportChoice transport, bool columns_are_cut) {
  if (run.reduce != ReducePattern::automatic && run.reduce != ReducePattern::engine) return run.reduce;
  // The groups of a grid, also one of everybody, have no engine (cluster/mpi/mpi_endpoint.h).
  const bool engine = transport == TransportChoice::mpi && !columns_are_cut;
  return engine ? ReducePattern::engine : ReducePattern::tree;
}

int readers_of(const RunOptions& run, int ranks) {
  return ranks - servers_of(run);
}

int threads_of(const RunOptions& run) {
  if (run.threads != 0) return run.threads;
  return run.solver == SolverChoice::hogwild ? processors() : 1;
}

int learners_of(const RunOptions& run) {
  if (run.solver == SolverChoice::hogwild) return threads_of(run);
  return (run.workers != 0 ? run.workers : processors()) * threads_of(run);
}

std::vector<std::string> launch(TransportChoice transport, const RunOptions& run, const EndpointOptions& options,
                                const std::function<void(Endpoint&)>& rank_main) {
  const auto checked = [&](Endpoint& endpoint) {
    check_ranks(run, endpoint.size());
    rank_main(endpoint);
  };
  if (transport == TransportChoice::mpi) {
    return run_mpi(options, checked);
  } else if (transport == TransportChoice::sim) {
    const ClusterModel model = simulated_cluster(run);
    run_simulated(ranks_of(run, static_cast<int>(model.nodes.size())), model, options, checked);
    return {fmt::format("times are virtual: those of the simulated cluster \"{}\"", model.name)};
  } else {
    run_threads(ranks_of(run, 0), options, checked);
  }
  return {};
}

}  // namespace muster
