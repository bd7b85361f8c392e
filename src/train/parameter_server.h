// The parameter server: servers own key ranges of w; workers pull, compute and push, each at its own speed.
//
// The endpoint's last `servers` ranks are the servers, the others the workers; every rank calls train_parameter_server
// with its objective (that of a server has no rows) and all return the same model.
//
// Sources: M. Li et al., "Scaling distributed machine learning with the parameter server", OSDI 2014; Q. Ho et al.,
// "More effective distributed ML via a stale synchronous parallel parameter server", NIPS 2013 (ssp); K. Mishchenko,
// F. Iutzeler, J. Malick, M. Amini, "A delay-tolerant proximal-gradient algorithm for distributed learning", ICML 2018
// (dave).
#pragma once

#include <functional>
#include <optional>

#include "train/session.h"

namespace muster {

enum class ServerSolver { dave, sgd, ftrl };

struct ParameterServerOptions {
  SessionOptions session;
  ServerSolver solver = ServerSolver::dave;
  ServerOptions server;
  // A restart point for a server's range whose servers are all lost (the last checkpoint, in the session's
  // coordinates), called on the server that takes the range; nullopt or empty: none, the run ends by name.
  std::function<std::optional<std::vector<double>>()> restore;
  double step = 0;  // sgd: α; 0: from the curvature and the staleness observed
  // What the objective's batches leave of the centring to the servers (LinearObjective::implicit_centre()): length
  // dimension(), or empty: nothing. That of the lowest rank counts. Where there is some, the last `outputs` parameters
  // are intercepts, and key j is centred by the (j mod outputs)-th of them.
  std::vector<double> implicit_centre;
  std::size_t outputs = 1;
  // sgd with adagrad, ftrl: the size of a coefficient that matters, in the session's coordinates. 1 suits logistic
  // loss; for the squared loss the targets' standard deviation.
  double radius = 1;
};

struct ParameterServerResult {
  SessionResult session;
  StalenessReport staleness;  // on every rank
};

ParameterServerResult train_parameter_server(Objective& objective, Endpoint& endpoint, std::vector<double> start,
                                             const ParameterServerOptions& options);

}  // namespace muster
