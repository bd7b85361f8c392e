#include "train/ftrl.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "train/mapreduce.h"

namespace muster {

FtrlServer::FtrlServer(const RunFacts& facts, const RowFacts& rows, KeyRange range,
                       std::vector<std::vector<double>> columns, double radius)
    : first_key_(range.begin),
      sums_(rows.sums),
      first_rate_(2 * (facts.lipschitz > 0 ? facts.lipschitz : 1) * static_cast<double>(facts.workers())),
      radius_(radius),
      epoch_pushes_(rows.epoch_pushes),
      drift_(std::max<std::size_t>(rows.sums, 1), 0.0),
      centre_sum_(drift_),
      window_residual_(drift_) {
  const bool restored = columns.size() > 1;
  for (std::size_t i = 0; i < range.size(); ++i) {
    const std::size_t j = range.begin + i;
    const double w = columns[0][i];
    Key key{.w = w,
            .z = -first_rate_ * w,
            .rate = first_rate_,
            .centre = rows.centre[j],
            .penalty = facts.penalty[j],
            .l1 = facts.l1[j]};
    if (restored) {
      key.z = columns[1][i];
      key.squares = columns[2][i];
      key.rate = columns[3][i];
      pushes_ = columns[4][i];
    }
    centre_sum_[output_of(i)] += key.centre * w;
    keys_.push_back(key);
  }
}

double FtrlServer::current(std::size_t place) const {
  const Key& key = keys_[place];
  const double z = current_z(place), threshold = pushes_ * key.l1;
  if (std::abs(z) <= threshold) return 0;
  return -(z - std::copysign(threshold, z)) / (key.rate + pushes_ * key.penalty);
}

void FtrlServer::update(std::size_t place, double g) {
  Key& key = keys_[place];
  const std::size_t output = output_of(place);
  const double gradient =
      g - key.centre * (drift_[output] - key.seen);  // with the centring of pushes that passed it by
  key.window += g;
  key.seen = drift_[output];
  key.squares += gradient * gradient;
  const double rate = std::max(key.rate, first_rate_ + std::sqrt(key.squares) / radius_);
  key.z += gradient - (rate - key.rate) * key.w;
  key.rate = rate;
  centre_sum_[output] -= key.centre * key.w;
  key.w = current(place);
  centre_sum_[output] += key.centre * key.w;
}

Work FtrlServer::apply(const Push& push) {
  const std::size_t count = push.dense ? keys_.size() : push.keys.size();
  MUSTER_CHECK(push.values.size() == count, "a value for each key");
  pushes_ += 1;
  MUSTER_CHECK(push.residuals.size() == sums_, "a residual for each intercept that centres");
  for (std::size_t k = 0; k < sums_; ++k) drift_[k] += push.residuals[k];
  for (std::size_t i = 0; i < count; ++i) update(push.dense ? i : push.keys[i], push.values[i]);
  end_of_push(push.residuals);
  const auto n = static_cast<double>(count);
  return {.bytes = 2 * sizeof(Key) * n, .flops = 30 * n};
}

// A window is about one pass over all rows. At its end every key is brought up to date, as if it were touched.
void FtrlServer::end_of_push(std::span<const double> residuals) {
  for (std::size_t k = 0; k < sums_; ++k) window_residual_[k] += residuals[k];
  if (++in_window_ < epoch_pushes_) return;
  std::fill(centre_sum_.begin(), centre_sum_.end(), 0.0);
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    Key& key = keys_[j];
    const std::size_t output = output_of(j);
    key.w = current(j);
    centre_sum_[output] += key.centre * key.w;
    key.gradient = (key.window - key.centre * window_residual_[output]) / in_window_ + key.penalty * key.w;
    key.window = 0;
  }
  std::fill(window_residual_.begin(), window_residual_.end(), 0.0);
  in_window_ = 0;
  known_ = true;
  estimate_.reset();
}

void FtrlServer::read(std::span<double> values) const {
  for (std::size_t j = 0; j < keys_.size(); ++j) values[j] = pushes_ > 0 ? current(j) : keys_[j].w;
}

void FtrlServer::read(std::span<const std::uint32_t> keys, std::span<double> values) const {
  for (std::size_t i = 0; i < keys.size(); ++i) values[i] = keys_[keys[i]].w;
}

RangeEstimate FtrlServer::estimate(std::span<const double> scale) const {
  // Of numbers that change once a window: made once a window, since it costs as much as the range is long.
  if (estimate_) return *estimate_;
  RangeEstimate result{.known = known_};
  if (!known_) return result;
  std::vector<double> w(keys_.size());
  read(w);
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    const Key& key = keys_[j];
    const double least = minimum_norm_subgradient({&w[j], 1}, {&key.gradient, 1}, {&key.l1, 1})[0];
    result.square += scale[j] * least * scale[j] * least;
    result.plain += least * least;
    result.penalty += 0.5 * key.penalty * w[j] * w[j] + key.l1 * std::abs(w[j]);
  }
  estimate_ = result;
  return result;
}

std::vector<std::vector<double>> FtrlServer::columns() const {
  std::vector<std::vector<double>> columns(5, std::vector<double>(keys_.size(), pushes_));
  read(columns[0]);
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    columns[1][j] = current_z(j);
    columns[2][j] = keys_[j].squares;
    columns[3][j] = keys_[j].rate;
  }
  return columns;
}

}  // namespace muster
