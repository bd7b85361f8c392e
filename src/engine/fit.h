// Fits a linear model on one rank of a group: scaling, choice of solver, training, certificate. Every rank calls it
// with its own shard; all return the same model (where columns are cut: the first rank, and the others no coefficients;
// where losses cut a network: the ranks of each part).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "cluster/endpoint.h"
#include "data/load.h"
#include "data/row_source.h"
#include "engine/division.h"
#include "kernels/instruction_set.h"
#include "muster/options.h"
#include "muster/report.h"
#include "train/topology.h"

namespace muster {

// A model in the user's units: coefficients and an intercept for each output (margin of a row). Losses of one margin
// have one output.
struct LinearModel {
  std::vector<double> w;                 // columns × outputs: those of a column side by side
  std::vector<double> intercepts = {0};  // by output; 0 where there is no intercept

  std::size_t outputs() const { return intercepts.size(); }
};

struct FitRequest {
  const Dataset& data;  // the encoding and summary are equal on every rank; the shard is this rank's, and may grow
  const TrainOptions& options;
  RowSource* rows = nullptr;                                // this rank's rows, where they are not the shard's
  InstructionSet instruction_set = InstructionSet::scalar;  // equal on every rank
  RowBudget* budget = nullptr;                              // for what passes keep beside the rows; null: no limit
  const CancellationToken* cancellation = nullptr;          // any rank's stops all after the current round
  std::optional<LinearModel> start;                         // resume from here; equal on every rank
  const Topology* topology = nullptr;                       // of a decentralized run
  const Division* division = nullptr;                       // the shard is this block; null: whole rows
  // The rows' first pass, which reads files that load() left unread: runs it so that all ranks end it in the same way,
  // and completes data.summary. Such rows are for exact alone. Collective.
  std::function<void(const std::function<void()>& pass)> first_pass = {};
  bool losses_end_run = false;  // train/session.h
  // Appends the rows of a lost worker to this rank's. Throws InputError.
  std::function<void(int lost)> adopt = {};
  // The last checkpoint, for a server that takes the place of a lost one; nullopt: there is none.
  std::function<std::optional<LinearModel>()> restore = {};
  // On every rank, after each round, or on the lowest living one about as often. gap: bound (or gradient criterion)
  // over its tolerance.
  std::function<void(const RoundReport& round, double gap)> on_round;
  // Asked every round, on the lowest living rank alone; where it returns true save is called there.
  std::function<bool()> wants_checkpoint;
  std::function<void(std::int64_t round, const LinearModel& model)> save_checkpoint;
};

struct FitResult {
  LinearModel model;
  int speaker = 0;    // the lowest living rank, or the lowest of its part of a network that was cut
  bool leads = true;  // of the parts, the one in which request.on_round and checkpoints were called
  // Everything but load_seconds, transport and workers' hosts, which the caller knows.
  Report report;
};

FitResult fit(const FitRequest& request, Endpoint& endpoint, Executor& executor);

}  // namespace muster
