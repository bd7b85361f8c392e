// The errors Muster throws: one family, caught at the edges and turned into one sentence.
//
// A bug does not throw: it aborts with a message (base/check.h).
#pragma once

#include <stdexcept>
#include <string>

namespace muster {

// The process's exit code for each way a run can end; a stable part of the command.
enum class ExitCode : int {
  ok = 0,
  bad_input = 2,       // a bad command, option, or data file
  not_converged = 3,   // stopped before the tolerance, stalled or diverged; the last finite model is saved
  cluster_failed = 4,  // a rank died, threw, or fell silent
  bug = 5,
  interrupted = 130,
};

// Base of the family. what() is one sentence, fit to print after "muster: ".
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ExitCode exit_code() const { return code_; }

 private:
  ExitCode code_;
};

// Bad command, option or data. The sentence names file, line and column wherever there is one.
class InputError : public Error {
 public:
  explicit InputError(const std::string& sentence) : Error(ExitCode::bad_input, sentence) {}
};

// The run was cancelled (SIGINT, SIGTERM, or a program's own CancellationToken) before there was a model to save.
class Cancelled : public Error {
 public:
  explicit Cancelled(const std::string& sentence) : Error(ExitCode::interrupted, sentence) {}
};

// The group of ranks can not go on.
class ClusterError : public Error {
 public:
  explicit ClusterError(const std::string& sentence) : Error(ExitCode::cluster_failed, sentence) {}
};

// A deadline passed while every peer waited for was still answering.
class Timeout : public ClusterError {
 public:
  explicit Timeout(const std::string& sentence) : ClusterError(sentence) {}
};

// A peer died, failed, or fell silent. The sentence names its rank, its host, the cause, and what it was last doing.
class PeerLost : public ClusterError {
 public:
  PeerLost(int rank, const std::string& sentence) : ClusterError(sentence), rank_(rank) {}
  int rank() const { return rank_; }

 private:
  int rank_;
};

}  // namespace muster
