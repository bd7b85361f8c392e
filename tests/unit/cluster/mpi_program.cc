// What the tests run under mpirun. First argument: what the ranks do.
//   conformance                 every check of conformance.h
//   throw                       rank 1 throws alone while the others wait for it
//   throw-late                  rank 1 throws alone while the others compute, and never wait
//   silent                      rank 1 spins outside its endpoint while the others wait for it
//   stop                        rank 1 stops its own process (SIGSTOP)
//   kill                        rank 1 kills its own process
//   input-error                 every rank throws the same InputError
//   lone-input-error            rank 1 throws an InputError while the others wait for it
//   last-input-error            rank 0 throws an InputError after everything is done
//   cancel                      rank 1 is cancelled, the others wait for it
//   cancelled-before            every rank is cancelled and then enters a collective
//   leave                       rank 1 returns while the others wait in a collective
// A second argument: as if hosts had so many ranks each.
// Exit code: that of the error, as the command has it. An error of all is printed by rank 0.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "cluster/mpi/mpi_launch.h"
#include "conformance.h"
#include "muster/error.h"

namespace muster {
namespace {

CancellationToken cancellation;

void wait_for_rank_1(Endpoint& endpoint) {
  if (endpoint.rank() == 0) endpoint.receive({{1}, {1}}, Deadline::never());
  std::vector<double> values(100'000);
  endpoint.allreduce(values, ReduceOp::sum, Deadline::never());
}

void run_checks(Endpoint& endpoint) {
  for (const conformance::Check& check : conformance::all_checks()) {
    try {
      check.run(endpoint);
    } catch (const std::exception& error) {
      throw std::runtime_error(std::string(check.name) + ": " + error.what());
    }
    endpoint.barrier({endpoint.now() + 60});
  }
}

void compute(Endpoint& endpoint, double seconds) {
  const Time until = endpoint.now() + seconds;
  while (endpoint.now() < until) endpoint.progress();
}

void fail(const std::string& how, Endpoint& endpoint) {
  if (how == "input-error") throw InputError("data.csv:3: not a number");
  if (how == "cancelled-before") {
    cancellation.cancel();
    double value = 0;
    return endpoint.allreduce({&value, 1}, ReduceOp::sum, Deadline::never());
  }
  if (how == "last-input-error") {
    endpoint.barrier(Deadline::never());
    if (endpoint.rank() == 0) throw InputError("cannot write model.json");
    return;
  }
  if (endpoint.rank() != 1) return how == "throw-late" ? compute(endpoint, 30) : wait_for_rank_1(endpoint);
  if (how == "throw" || how == "throw-late") throw std::runtime_error("its memory is full");
  if (how == "lone-input-error") throw InputError("its file is gone");
  if (how == "stop") raise(SIGSTOP);
  if (how == "kill") raise(SIGKILL);
  if (how == "cancel") cancellation.cancel();
  if (how == "cancel") endpoint.receive({}, Deadline::never());
  if (how == "silent") {
    endpoint.send(0, 7, Buffer());
    endpoint.progress();
    for (volatile bool for_ever = true; for_ever;) {
    }
  }
}

int run(const std::string& how, int ranks_per_host) {
  EndpointOptions options;
  options.credit_bytes = conformance::kCreditBytes;
  const bool checks = how == "conformance";
  options.silence_seconds = checks ? 60 : 2;
  options.ranks_per_host = ranks_per_host;
  options.cancellation = &cancellation;
  try {
    run_mpi(options, [&](Endpoint& endpoint) { checks ? run_checks(endpoint) : fail(how, endpoint); });
  } catch (const Error& error) {
    if (mpi_rank_from_environment() == 0) std::fprintf(stderr, "muster: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  }
  return 0;
}

}  // namespace
}  // namespace muster

int main(int count, char** arguments) {
  return muster::run(count > 1 ? arguments[1] : "conformance", count > 2 ? std::atoi(arguments[2]) : 0);
}
