// Rounds that try a point each and take it where f allows: what plain rules with a guard on their steps share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "solver/point.h"
#include "solver/problem.h"

namespace muster {

struct GuardedRunOptions {
  std::int64_t max_rounds = 0, first_round = 0;
  int patience = 0;  // rounds without progress that make a floor
};

// An evaluation is a round. Once a call has said that the run is over, result() says how.
class GuardedRun {
 public:
  GuardedRun(Problem& problem, std::vector<double> start, const GuardedRunOptions& options);

  // The first round, at the start. False: the run is over.
  bool begin();
  // False: the limit on rounds is reached, and the run over.
  bool may_go_on();
  // A round, at trial(): it becomes current() where f is not above `allowed` but by rounding. Returns whether it did.
  bool take(double allowed);
  // After take(). False: the run is over.
  bool not_at_its_end();

  const Point& current() const { return current_; }
  std::vector<double>& trial() { return trial_.w; }
  // Ends the run for a reason of the rule's own.
  SolverResult end(StopReason reason, std::string detail);
  SolverResult result() { return end(verdict_.reason, verdict_.detail); }

 private:
  bool over(StopReason reason, const char* detail);
  bool judge();

  Problem& problem_;
  const GuardedRunOptions options_;
  Point current_, trial_;
  FloorDetector floor_;
  std::int64_t rounds_ = 0;
  Problem::Verdict verdict_;
};

}  // namespace muster
