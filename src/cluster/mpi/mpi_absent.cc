// Stands in for the transport in a build without MPI.
#include "cluster/mpi/mpi_launch.h"
#include "muster/error.h"

namespace muster {

bool mpi_available() {
  return false;
}

std::vector<std::string> run_mpi(const EndpointOptions&, const std::function<void(Endpoint&)>&) {
  throw InputError(
      "this build of muster lacks MPI: install Open MPI (libopenmpi-dev and openmpi-bin) and build again, "
      "or use --transport threads");
}

}  // namespace muster
