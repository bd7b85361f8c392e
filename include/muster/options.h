// What a caller of the library may ask for. Every field has the default that is right for somebody who does not know
// what it means; the command's options (cli/) fill these and nothing else.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace muster {

enum class Format { automatic, csv, parquet, libsvm };
enum class MissingPolicy { error, drop, mean };
enum class StorageChoice { automatic, float64, float32 };
enum class LibsvmBase { automatic, zero, one };
enum class Loss { squared, logistic, softmax };
enum class Mode { mapreduce, parameter_server, decentralized };
enum class TransportChoice { automatic, threads, mpi, sim };
enum class SolverChoice {
  automatic,
  // MapReduce
  gd,
  nesterov,
  lbfgs,
  cg,
  newton_cg,
  exact,
  // parameter server
  sgd,
  dave,
  ftrl,
  hogwild,  // one worker, no server: its threads share the model
  // decentralized network
  dgd,
  nids,
  gradient_tracking,
  push_sum,
  pairwise,
};

// When a worker may go on: bsp: when all have done the round; ssp: when the slowest is at most `bound` clocks behind;
// async: at once. automatic: what the mode is known for.
struct Synchronisation {
  enum class Kind { automatic, bsp, ssp, async };
  Kind kind = Kind::automatic;
  std::int64_t bound = 0;
};

// How the workers' sums are added in every round of MapReduce. star: workers send to the first, which adds in rank
// order and sends the sum back: the plain server; tree: a binomial tree; ring: every rank adds one part; engine: the
// transport's own, in the order of the tree, or the tree itself where it has none. automatic: engine.
enum class ReducePattern { automatic, star, tree, ring, engine };

// Who holds what of the matrix under MapReduce. rows: each worker its rows; features: each worker its columns, of all
// rows; grid: row blocks by column blocks. automatic: by the shape of the data.
struct SplitOptions {
  enum class Kind { automatic, rows, features, grid };
  Kind kind = Kind::automatic;
  int rows = 1, columns = 1;  // of a grid
};

// How the numbers of a message are written. Lossy ones keep what was lost and add it to what is sent next (error
// feedback). top_k: the `kept` largest of a message by magnitude, with their places.
struct MessageCompression {
  enum class Kind { none, float32, float16, int8, top_k };
  Kind kind = Kind::none;
  std::int64_t kept = 0;
};

// Of --mode parameter-server.
struct ServerOptions {
  int servers = 1;                 // ranks beside the workers that own the parameters
  std::int64_t batch = 0;          // rows of a step of sgd and ftrl; 0: chosen by the solver
  bool adagrad = false;            // sgd: a step size of its own for each coordinate
  bool decay = false;              // sgd: step sizes that shrink with 1/(1 + epochs)
  bool staleness_damping = false;  // sgd: a gradient τ updates late counts 1/(1 + τ)
  int replicas = 1;                // servers that hold each range
};

enum class MixingWeights { automatic, metropolis, lazy, uniform, file };

// Of --mode decentralized.
struct NetworkOptions {
  std::string topology = "ring";  // a name of docs/TOPOLOGIES.md, or file:PATH
  MixingWeights weights = MixingWeights::automatic;
  std::int64_t local_steps = 1;  // gradient steps between two mixings
  bool chebyshev = false;        // mixing accelerated by Chebyshev's polynomials
  int node = -1;                 // whose copy is saved; -1: the average
  bool takeover = false;         // a neighbour re-reads a lost node's rows
  bool allow_parts = false;      // where losses cut the network, each part goes on, with a model of its own rows
};

// Which files, and how their columns become features.
struct DataOptions {
  std::vector<std::string> paths;        // files, globs, directories
  std::string target;                    // column name; LIBSVM files carry their own label
  Format format = Format::automatic;     // automatic: by extension, then by content
  std::vector<std::string> features;     // names or globs; empty: every column not used otherwise
  std::vector<std::string> drop;         // names or globs
  std::vector<std::string> categorical;  // names or globs of columns to one-hot encode though they look numeric
  MissingPolicy missing = MissingPolicy::error;
  std::string weight;                      // column of sample weights s_i >= 0
  std::string offset;                      // column of fixed offsets o_i
  std::map<std::string, int> polynomials;  // column -> degree >= 2: adds powers 2..degree of that column
  LibsvmBase libsvm_base = LibsvmBase::automatic;
  StorageChoice storage = StorageChoice::automatic;
  // Bytes that a process should not exceed; 0: what the machine has available. Rows that do not fit are read on every
  // pass, from a temporary file of parsed rows where there is room for one.
  double memory_bytes = 0;
  // Keeps the parsed rows in files beside the data, and takes them from there where they are those of the same files
  // and options.
  bool cache = false;
};

// f(w, b) = (1/S) Σ s_i loss(x_i·w + b + o_i, y_i) + (l2/2)|w|² + l1|w|₁
struct ProblemOptions {
  Loss loss = Loss::squared;
  bool intercept = true;
  double l2 = 0;
  double l1 = 0;
  bool standardize = false;  // the penalty acts on columns scaled to mean 0, standard deviation 1
  std::string positive;      // logistic: the level that counts as 1; empty: the larger of the two
};

struct RunOptions {
  Mode mode = Mode::mapreduce;
  TransportChoice transport = TransportChoice::automatic;
  int workers = 0;       // threads transport: ranks; 0: one. Under a launcher the ranks are the workers
  int threads = 0;       // threads per worker; 0: one, and with hogwild one per processor
  std::string simulate;  // a cluster file: implies the sim transport; empty with sim: a uniform 10 GbE cluster
  SolverChoice solver = SolverChoice::automatic;
  Synchronisation sync;
  SplitOptions split;
  ReducePattern reduce = ReducePattern::automatic;
  MessageCompression compression;
  ServerOptions server;
  NetworkOptions network;
  bool reproducible = false;   // fixed order of addition across ranks: same n, same bits, on every transport
  std::uint64_t seed = 0;      // not 0: also overrules the cluster file's
  double silence_seconds = 8;  // a peer waited for that does not answer for so long is lost
};

struct StopOptions {
  double tolerance = 1e-6;
  std::int64_t max_rounds = 100'000;
  double max_epochs = std::numeric_limits<double>::infinity();  // passes over the data; parameter server
  double max_seconds = std::numeric_limits<double>::infinity();
};

struct CheckpointOptions {
  std::string directory;  // empty: none
  double every_seconds = 30;
  bool resume = false;
};

// Which penalties to try by cross-validation before the model is fitted: every pair of an l2 and an l1.
struct TuningOptions {
  std::vector<double> l2, l1;       // empty: that of ProblemOptions alone
  int folds = 0;                    // so many parts of the rows, dealt by the seed; 0: not so
  std::string fold_column = {};     // rows of one label in it form a fold; empty: not so
  bool one_standard_error = false;  // take the strongest within one standard error of the best, not the best

  bool asked() const { return folds > 0 || !fold_column.empty(); }
};

struct TrainOptions {
  DataOptions data;
  ProblemOptions problem;
  RunOptions run;
  StopOptions stop;
  CheckpointOptions checkpoint;
  TuningOptions tuning;
  std::string warm_start;  // a model file whose coefficients a fit starts from, by name; empty: none
  bool trace = false;      // TrainResult::trace: what each rank did when
  bool summary = false;    // Report::summary: standard errors and what goes with them; of a fit without a penalty
  bool verify = false;     // certificate of a one-pass solver from a second pass over the rows
};

}  // namespace muster
