// One pass over rows as they are read: every row is predicted, then learned from, by any number of learners that share
// one model (kernels/online_steps.h), each with rows of its own. For whoever wants a good model now; it ends near the
// minimiser of F, and nothing bounds how near.
//
// What can be said of it is the progressive loss: the mean loss of each row as predicted before it was learned from.
// Its expectation is that of the mean loss on new rows of the models under way, whose last is better than most.
//
// Which of two labels is the positive one may be known only at the end, since a pass does not look ahead. So the first
// label seen stands for 0, the other for 1, and where that was the wrong way round, the model is turned round: logistic
// loss is the same for both. Squared loss is of targets less a base, the mean of some of the first.
//
// Source: A. Blum, A. Kalai, J. Langford, "Beating the hold-out: bounds for k-fold and progressive cross-validation",
// COLT 1999.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "data/shard.h"
#include "kernels/online_steps.h"

namespace muster {

// How much of the targets' variance lies between runs of neighbouring rows: of rows in no order, one part in their
// number. Rows sorted by their targets are learned from badly, since a pass forgets.
class TargetOrder {
 public:
  static constexpr std::size_t kRun = 256;

  // A run of kRun targets.
  void add(std::span<const double> run);
  void add(const TargetOrder& more);
  bool sorted() const;

 private:
  double runs_ = 0, sum_ = 0, square_ = 0, mean_square_ = 0;
};

// What learners share. Threads: any.
class OnePass {
 public:
  explicit OnePass(const OnlineProblem& problem) { model_.problem = problem; }

  OnlineModel& model() { return model_; }
  bool classifies() const { return model_.problem.function == RowFunction::logistic; }

  // Adds what a learner did since it last called, and returns what all did.
  OnlineTotals exchange(const OnlineTotals& more);
  void note_order(const TargetOrder& order);
  // Whether neighbouring rows have targets so alike that the files must be sorted by them.
  bool sorted() const;
  // The place of a label among the two, 0 or 1; nothing: it is a third one.
  std::optional<double> place_of(double label);
  // The labels seen so far, by place.
  std::vector<double> labels() const;
  // Squared loss: what targets are less by; settled by the first rows that ask.
  double base(const Shard& rows);

  // After the pass. turned: place 0 is the positive one.
  double coefficient(std::uint32_t column, bool turned) const;
  double intercept(bool turned) const;

 private:
  OnlineModel model_;
  mutable std::mutex mutex_;
  OnlineTotals totals_;
  std::vector<double> labels_;
  std::optional<double> base_;
  TargetOrder order_;
};

// One of the learners. Of one thread.
class OnePassLearner {
 public:
  explicit OnePassLearner(OnePass& shared) : shared_(shared), steps_(shared.model()) {}

  // Learns from the rows, in their order. False where a target is a third label: then from none of them.
  bool learn(const Shard& rows);

  std::int64_t rows() const { return rows_; }

 private:
  bool place_targets(const Shard& rows);

  OnePass& shared_;
  OnlineSteps steps_;
  OnlineTotals totals_;         // of all learners, as far as known here
  std::vector<double> labels_;  // as far as known here
  AlignedVector<double> targets_;
  std::int64_t rows_ = 0;
};

}  // namespace muster
