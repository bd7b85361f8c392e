// What a trainer whose workers go at their own pace is asked, and what it tells of its run, as far as neither depends
// on the objective.
#pragma once

#include "base/cancellation.h"
#include "engine/fit_context.h"
#include "muster/options.h"
#include "train/decentralized.h"
#include "train/parameter_server.h"
#include "train/session.h"

namespace muster {

SessionOptions session_options(const RunOptions& run, const StopOptions& stop, const CancellationToken* cancellation);
// Moves what a session tells of its run into what a report is made of.
void take_account(SessionResult& session, Trained& trained);
// Likewise, beside its session.
void take_network_account(const DecentralizedResult& result, Trained& trained);

ServerSolver server_solver(SolverChoice solver);
NetworkSolver network_solver(SolverChoice solver);

}  // namespace muster
