// What a trainer whose workers go at their own pace is asked, as far as it does not depend on the objective.
#pragma once

#include "base/cancellation.h"
#include "muster/options.h"
#include "train/decentralized.h"
#include "train/parameter_server.h"
#include "train/session.h"

namespace muster {

SessionOptions session_options(const RunOptions& run, const StopOptions& stop, const CancellationToken* cancellation);
ServerSolver server_solver(SolverChoice solver);
NetworkSolver network_solver(SolverChoice solver);

}  // namespace muster
