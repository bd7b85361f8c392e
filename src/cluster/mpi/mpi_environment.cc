// What the launcher says, read from the environment alone: Open MPI's mpirun, PMIx (srun --mpi=pmix), PMI.
#include <array>
#include <cstdlib>

#include "cluster/mpi/mpi_launch.h"

namespace muster {

namespace {

const char* rank_variable() {
  constexpr std::array<const char*, 3> kVariables = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
  for (const char* variable : kVariables) {
    if (const char* value = std::getenv(variable)) return value;
  }
  return nullptr;
}

}  // namespace

bool launched_by_mpi() {
  return rank_variable() != nullptr;
}

int mpi_rank_from_environment() {
  const char* value = rank_variable();
  return value == nullptr ? 0 : std::atoi(value);
}

}  // namespace muster
