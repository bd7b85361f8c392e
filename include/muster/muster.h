// Muster's public face: train a model, predict with it, measure it. An embedding program includes this and links
// muster::muster; the command does the same.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "muster/error.h"
#include "muster/model.h"
#include "muster/options.h"
#include "muster/output_file.h"
#include "muster/report.h"

namespace muster {

// Watches a run; cannot change it. Called on one thread of the first rank, at most some ten times a second.
struct Progress {
  enum class Stage { reading, tuning, training };
  Stage stage = Stage::reading;
  double seconds = 0;                     // since the stage began
  std::int64_t rows = 0;                  // reading: by this rank
  double bytes = 0, total_bytes = 0;      // reading: by this rank
  std::int64_t fits = 0, total_fits = 0;  // tuning: done, and all
  std::int64_t round = 0;                 // training
  double objective = 0;
  double gap = 0;        // bound or gradient criterion over its tolerance: 1 or less is converged
  double first_gap = 0;  // the same after the first round
};
using ProgressObserver = std::function<void(const Progress&)>;

struct TrainResult {
  Model model;  // where columns were split: whole on the first rank, elsewhere without coefficients
  Report report;
  bool speaks = true;      // false on every rank but the first: only that one should print and write files
  std::string trace = {};  // where asked for: of all ranks, in Chrome's trace format; on the first rank only
  // Where losses have cut a decentralized network (NetworkOptions::allow_parts): the other parts', as report.parts.
  std::vector<TrainResult> other_parts = {};
};

// Trains as asked. Under a launcher (mpirun, srun) every process calls it and becomes one rank. Blocks until done.
// Throws InputError, ClusterError, Cancelled; never hangs on a lost rank.
//
// Threads: one call at a time per process.
TrainResult train(const TrainOptions& options, const ProgressObserver& observer = {});

// Asks a running train() to stop after its current round and save what it has. Safe in a signal handler.
void request_stop() noexcept;

// True in a process started by an MPI launcher whose rank is not 0.
bool silent_rank();

struct PredictOptions {
  std::vector<std::string> paths;  // files, globs, directories
  Format format = Format::automatic;
};

// Writes CSV with a header to out: `prediction`; for logistic models `prediction` (the level) and `probability` (of the
// positive level); for softmax `prediction` (the class) and `probability_CLASS` for every class. One line a row, in
// input order. Returns the number of rows. Throws InputError.
std::int64_t predict(const Model& model, const PredictOptions& options, std::ostream& out);

Metrics evaluate(const Model& model, const PredictOptions& options);

// report.json and metrics as JSON text.
std::string to_json(const Report& report);
std::string to_json(const Metrics& metrics, Loss loss);

const char* version();

// Replaces the file at path by text: written to a temporary name, synced, renamed. /dev/stdout and other things that
// are not regular files are written in place. Throws InputError naming path and cause; nothing is left behind.
void write_file(const std::string& path, const std::string& text);

}  // namespace muster
