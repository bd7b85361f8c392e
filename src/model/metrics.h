// How well margins match known targets, accumulated block by block: one pass, any number of rows.
//
// With sample weights s_i every average is weighted by them; the confusion counts count rows. A measure that the data
// do not define (R² of constant targets, AUC of one class, anything of total weight 0) is NaN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/double_double.h"
#include "muster/model.h"

namespace muster {

// One block of rows: true targets, margins, and weights (empty: every one is 1).
struct ScoredRows {
  std::span<const double> targets;
  std::span<const double> margins;
  std::span<const double> weights;

  double weight(std::size_t i) const { return weights.empty() ? 1.0 : weights[i]; }
};

// RMSE = sqrt(Σ s r² / S), MAE = Σ s |r| / S, R² = 1 − Σ s r² / Σ s (y − ȳ)², with r = y − z and ȳ = Σ s y / S.
//
// The spread of y: each block's own, in two passes over it, then merged by T. F. Chan, G. H. Golub, R. J. LeVeque,
// "Algorithms for computing the sample variance", Am. Stat. 37 (1983), equation 2.1, weights in place of counts.
class RegressionMetrics {
 public:
  void add(const ScoredRows& rows);
  Metrics result() &&;

 private:
  std::int64_t rows_ = 0;
  double weight_ = 0;
  DoubleDouble squares_, absolutes_;  // Σ s r², Σ s |r|
  double mean_ = 0, spread_ = 0;      // of y − shift_; Σ s (y − ȳ)²
  double shift_ = 0;                  // the first target: constant ones then have a spread of exactly 0
};

struct WeightedMargin {
  double margin = 0, weight = 1;
};

// Targets are 0 or 1; a row is predicted positive where its margin is above 0, that is its probability above 1/2.
// AUC is the exact area (ties count one half, by midranks; J. A. Hanley, B. J. McNeil, Radiology 143 (1982)), for which
// every margin is kept: 8 bytes a row, 16 with weights.
class ClassificationMetrics {
 public:
  void add(const ScoredRows& rows);
  Metrics result() &&;

 private:
  void count(bool is_positive, bool predicted_positive, double weight);

  Metrics counts_;  // rows and the confusion counts
  double weight_ = 0;
  DoubleDouble loss_, correct_;                // Σ s loss, Σ s [right]
  std::vector<double> negatives_, positives_;  // margins; or, where there are weights:
  std::vector<WeightedMargin> weighted_negatives_, weighted_positives_;
};

// The loss of margin z on target y in {0, 1}: log(1 + e^z) − y z, without overflow or cancellation.
double logistic_loss(double y, double z);

// The probability that a positive's margin exceeds a negative's, ties counting one half. NaN where either has no
// weight.
double area_under_curve(std::vector<double> negatives, std::vector<double> positives);
double area_under_curve(std::vector<WeightedMargin> negatives, std::vector<WeightedMargin> positives);

}  // namespace muster
