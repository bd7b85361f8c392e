// What the trainers whose workers go at their own pace, parameter server and decentralized, ask of their caller and
// give back. Both train the same F as MapReduce:
//
//     minimise F(w) = (1/S) Σ_k f_k(w) + ½ Σ_j p_j w_j² + Σ_j q_j |w_j| ,   f_k: the sum over worker k's rows
//
// and both end in the same way: their own estimate says that the tolerance seems met; all meet (the one barrier), F and
// its gradient are computed exactly at one agreed point; the caller judges that; and training goes on, with a stricter
// estimate, where it does not do.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "cluster/endpoint.h"
#include "muster/objective.h"
#include "muster/options.h"
#include "muster/report.h"
#include "train/mapreduce.h"

namespace muster {

// Whether the tolerance seems met, from an estimate of F and its gradient. Each coordinate of the gradient (of the
// minimum-norm subgradient, where q_j > 0) is multiplied by scale and the squares are added, in parts wherever the
// coordinates are; met() is asked of the sum.
struct StopEstimate {
  std::vector<double> scale;                             // length dimension()
  std::function<bool(double value, double square)> met;  // deterministic; equal on every rank
};

struct SessionOptions {
  std::vector<double> penalty;  // p, length dimension()
  std::vector<double> l1;       // q, length dimension(), or empty: none
  MessageCompression compression;
  Synchronisation sync;  // kind is never automatic here
  std::uint64_t seed = 0;
  std::int64_t max_rounds = 100'000;  // parameter server: a round is as many updates as there are workers
  double max_epochs = std::numeric_limits<double>::infinity();
  double max_seconds = std::numeric_limits<double>::infinity();  // by rank 0's clock, as MapReduce
  const CancellationToken* cancellation = nullptr;               // any rank's stops all; may be null

  StopEstimate estimate;
  // The exact judgement, collective over the survivors, on the agreed point. tallies as in MapReduce. Not stopping: go
  // on. Empty: the estimate is trusted.
  std::function<Problem::Verdict(const RoundState&)> judge;
  // About once a round on rank 0 (or the lowest living worker) alone; w is the model as that rank has it. May be empty.
  std::function<void(const RoundReport&, std::span<const double> w)> on_round;

  // A worker is lost: called on the one survivor that takes its rows over; afterwards the objective here has them too
  // (rows() and weight() grow). Throws InputError. Empty: losses end the run by name (PeerLost).
  std::function<void(int lost)> adopt;
  // A lost rank ends the run by name (PeerLost), whoever could go on: where the launcher does not outlive a rank, and
  // where ranks cut off from each other might all think themselves the survivors.
  bool losses_end_run = false;
};

struct SessionResult {
  std::vector<double> w;  // the agreed point, equal bit for bit on every living rank
  StopReason reason = StopReason::converged;
  std::string detail;
  std::int64_t rounds = 0;
  std::vector<RoundReport> history;  // thinned to at most about 1,000; on every rank
  double compute_seconds = 0;        // in this rank's gradients
  std::vector<LostRank> lost;        // on every rank
  // Where ranks were lost: the living, agreed (Endpoint::shrink). Null: all live, the endpoint given is good.
  std::unique_ptr<Endpoint> survivors;
  // By rank of the endpoint; on every rank.
  std::vector<std::int64_t> updates;
  std::vector<double> waited_for_seconds;
};

}  // namespace muster
