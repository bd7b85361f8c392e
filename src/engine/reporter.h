// Tells a run's observer how far it is.
#pragma once

#include "cluster/endpoint.h"
#include "data/load.h"
#include "muster/muster.h"

namespace muster {

// Calls the observer, at most every kSeconds and always for the first call of a stage.
class Reporter {
 public:
  static constexpr double kSeconds = 0.1;

  // Both outlive it.
  Reporter(const ProgressObserver& observer, Endpoint& endpoint) : observer_(observer), endpoint_(endpoint) {}

  void begin(Progress::Stage stage) {
    progress_ = {};
    progress_.stage = stage;
    began_ = endpoint_.now();
    said_ = -kSeconds;
  }
  void reading(const LoadProgress& load) {
    if (endpoint_.rank() != 0) return;
    progress_.rows = load.rows;
    progress_.bytes = static_cast<double>(load.bytes_read);
    progress_.total_bytes = static_cast<double>(load.bytes_total);
    say();
  }
  void tuning(std::int64_t fits, std::int64_t of) {
    if (endpoint_.rank() != 0) return;
    progress_.fits = fits;
    progress_.total_fits = of;
    say();
  }
  // On one rank alone.
  void training(const RoundReport& round, double gap) {
    if (progress_.round == 0) progress_.first_gap = gap;
    progress_.round = round.round;
    progress_.objective = round.objective;
    progress_.gap = gap;
    say();
  }
  double seconds() const { return endpoint_.now() - began_; }

 private:
  void say() {
    if (!observer_) return;
    progress_.seconds = seconds();
    if (progress_.seconds - said_ < kSeconds) return;
    said_ = progress_.seconds;
    observer_(progress_);
  }

  const ProgressObserver& observer_;
  Endpoint& endpoint_;
  Progress progress_;
  Time began_ = 0;
  double said_ = 0;
};

}  // namespace muster
