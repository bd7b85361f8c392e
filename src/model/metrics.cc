#include "model/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

void check(const ScoredRows& rows) {
  MUSTER_CHECK(rows.targets.size() == rows.margins.size(), "there is one margin a target");
  MUSTER_CHECK(rows.weights.empty() || rows.weights.size() == rows.targets.size(), "there is one weight a target");
}

double margin_of(double score) {
  return score;
}
double margin_of(const WeightedMargin& score) {
  return score.margin;
}
double weight_of(double) {
  return 1;
}
double weight_of(const WeightedMargin& score) {
  return score.weight;
}

template <class Score>
DoubleDouble total_weight(const std::vector<Score>& scores) {
  DoubleDouble total;
  for (const Score& score : scores) total += weight_of(score);
  return total;
}

// Walks both sorted lists once, a group of equal margins at a time: a positive of the group beats every negative below
// it, and half of those beside it.
template <class Score>
double area(std::vector<Score> negatives, std::vector<Score> positives) {
  const auto by_margin = [](const Score& a, const Score& b) { return margin_of(a) < margin_of(b); };
  std::sort(negatives.begin(), negatives.end(), by_margin);
  std::sort(positives.begin(), positives.end(), by_margin);
  DoubleDouble won, below;
  auto negative = negatives.begin();
  for (auto positive = positives.begin(); positive != positives.end();) {
    const double margin = margin_of(*positive);
    while (negative != negatives.end() && margin_of(*negative) < margin) below += weight_of(*negative++);
    DoubleDouble tied, group;
    while (negative != negatives.end() && margin_of(*negative) == margin) tied += weight_of(*negative++);
    while (positive != positives.end() && margin_of(*positive) == margin) group += weight_of(*positive++);
    won += group * (below + tied * 0.5);
    below += tied;
  }
  const DoubleDouble pairs = total_weight(negatives) * total_weight(positives);
  return pairs.high > 0 ? static_cast<double>(won / pairs) : kUndefined;
}

}  // namespace

void RegressionMetrics::add(const ScoredRows& rows) {
  check(rows);
  if (rows.targets.empty()) return;
  if (rows_ == 0) shift_ = rows.targets[0];
  rows_ += static_cast<std::int64_t>(rows.targets.size());

  DoubleDouble weight, sum;
  for (std::size_t i = 0; i < rows.targets.size(); ++i) {
    const double s = rows.weight(i);
    const double r = rows.targets[i] - rows.margins[i];
    squares_ += s * (r * r);
    absolutes_ += s * std::fabs(r);
    weight += s;
    sum += two_product(s, rows.targets[i] - shift_);
  }
  const double block_weight = static_cast<double>(weight);
  if (!(block_weight > 0)) return;

  const double block_mean = static_cast<double>(sum / weight);
  DoubleDouble spread;
  for (std::size_t i = 0; i < rows.targets.size(); ++i) {
    const double d = (rows.targets[i] - shift_) - block_mean;
    spread += rows.weight(i) * (d * d);
  }
  const double apart = block_mean - mean_;
  const double total = weight_ + block_weight;
  spread_ += static_cast<double>(spread) + apart * apart * (weight_ * block_weight / total);
  mean_ += apart * (block_weight / total);
  weight_ = total;
}

Metrics RegressionMetrics::result() && {
  Metrics metrics;
  metrics.rows = rows_;
  metrics.rmse = metrics.mae = metrics.r2 = kUndefined;
  if (!(weight_ > 0)) return metrics;
  const double squares = static_cast<double>(squares_);
  metrics.rmse = std::sqrt(squares / weight_);
  metrics.mae = static_cast<double>(absolutes_) / weight_;
  if (spread_ > 0) metrics.r2 = 1 - squares / spread_;
  return metrics;
}

double logistic_loss(double y, double z) {
  const double against = y > 0.5 ? -z : z;  // how far the margin is on the wrong side
  return against > 0 ? against + std::log1p(std::exp(-against)) : std::log1p(std::exp(against));
}

double area_under_curve(std::vector<double> negatives, std::vector<double> positives) {
  return area(std::move(negatives), std::move(positives));
}

double area_under_curve(std::vector<WeightedMargin> negatives, std::vector<WeightedMargin> positives) {
  return area(std::move(negatives), std::move(positives));
}

void ClassificationMetrics::count(bool is_positive, bool predicted_positive, double weight) {
  if (is_positive) {
    ++(predicted_positive ? counts_.true_positive : counts_.false_negative);
  } else {
    ++(predicted_positive ? counts_.false_positive : counts_.true_negative);
  }
  if (is_positive == predicted_positive) correct_ += weight;
}

void ClassificationMetrics::add(const ScoredRows& rows) {
  check(rows);
  counts_.rows += static_cast<std::int64_t>(rows.targets.size());
  for (std::size_t i = 0; i < rows.targets.size(); ++i) {
    const double z = rows.margins[i];
    const double s = rows.weight(i);
    const bool is_positive = rows.targets[i] > 0.5;
    weight_ += s;
    loss_ += s * logistic_loss(rows.targets[i], z);
    count(is_positive, z > 0, s);
    if (rows.weights.empty()) {
      (is_positive ? positives_ : negatives_).push_back(z);
    } else {
      (is_positive ? weighted_positives_ : weighted_negatives_).push_back({z, s});
    }
  }
}

Metrics ClassificationMetrics::result() && {
  Metrics metrics = counts_;
  metrics.log_loss = metrics.accuracy = metrics.auc = kUndefined;
  if (!(weight_ > 0)) return metrics;
  metrics.log_loss = static_cast<double>(loss_) / weight_;
  metrics.accuracy = static_cast<double>(correct_) / weight_;
  const bool weighted = !weighted_negatives_.empty() || !weighted_positives_.empty();
  metrics.auc = weighted ? area_under_curve(std::move(weighted_negatives_), std::move(weighted_positives_))
                         : area_under_curve(std::move(negatives_), std::move(positives_));
  return metrics;
}

}  // namespace muster
