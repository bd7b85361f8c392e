// Ranks as processes started by an MPI launcher (mpirun, srun --mpi=pmix). Nothing of MPI is initialised before
// run_mpi.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/endpoint.h"

namespace muster {

// Whether this build has the transport.
bool mpi_available();

// Whether a launcher started this process, told from the environment alone.
bool launched_by_mpi();

// This process's rank as the launcher says, 0 where there is no launcher; without a call into MPI.
int mpi_rank_from_environment();

// Initialises MPI (funneled: only the calling thread uses it), runs rank_main(endpoint) as this process's rank, agrees
// with the other ranks that all are done, and finalises MPI. Once per process. Returns what the user should know of it.
//
// Failure, always within some 10 seconds of its cause:
//  - InputError or Cancelled thrown by a rank while no other rank was harmed is the outcome of all, also of those that
//    wait for it: MPI is finalised and every rank throws that of the lowest such rank.
//  - A rank that throws anything else, or is lost to those that wait for it (silent for options.silence_seconds): one
//  sentence
//    on stderr, "muster: rank R on HOST: cause", then MPI_Abort with exit code 4. Does not return.
//  - No launcher, or a build without MPI: InputError.
std::vector<std::string> run_mpi(const EndpointOptions& options, const std::function<void(Endpoint&)>& rank_main);

}  // namespace muster
