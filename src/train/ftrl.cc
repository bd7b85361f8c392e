#include "train/ftrl.h"

#include <cmath>

#include "base/check.h"
#include "train/mapreduce.h"

namespace muster {

FtrlServer::FtrlServer(const RunFacts& facts, const RowFacts& rows, KeyRange range,
                       std::vector<std::vector<double>> columns, double radius)
    : first_rate_(2 * (facts.lipschitz > 0 ? facts.lipschitz : 1) * static_cast<double>(facts.workers())),
      radius_(radius),
      epoch_pushes_(rows.epoch_pushes) {
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
    centre_sum_ += key.centre * w;
    keys_.push_back(key);
  }
}

double FtrlServer::current(const Key& key) const {
  const double z = current_z(key), threshold = pushes_ * key.l1;
  if (std::abs(z) <= threshold) return 0;
  return -(z - std::copysign(threshold, z)) / (key.rate + pushes_ * key.penalty);
}

void FtrlServer::update(Key& key, double g) {
  const double gradient = g - key.centre * (drift_ - key.seen);  // with the centring of pushes that passed it by
  key.window += g;
  key.seen = drift_;
  key.squares += gradient * gradient;
  const double rate = std::max(key.rate, first_rate_ + std::sqrt(key.squares) / radius_);
  key.z += gradient - (rate - key.rate) * key.w;
  key.rate = rate;
  centre_sum_ -= key.centre * key.w;
  key.w = current(key);
  centre_sum_ += key.centre * key.w;
}

Work FtrlServer::apply(const Push& push) {
  const std::size_t count = push.dense ? keys_.size() : push.keys.size();
  MUSTER_CHECK(push.values.size() == count, "a value for each key");
  pushes_ += 1;
  drift_ += push.residual;
  for (std::size_t i = 0; i < count; ++i) update(keys_[push.dense ? i : push.keys[i]], push.values[i]);
  end_of_push(push.residual);
  const auto n = static_cast<double>(count);
  return {.bytes = 2 * sizeof(Key) * n, .flops = 30 * n};
}

// A window is about one pass over all rows. At its end every key is brought up to date, as if it were touched.
void FtrlServer::end_of_push(double residual) {
  window_residual_ += residual;
  if (++in_window_ < epoch_pushes_) return;
  centre_sum_ = 0;
  for (Key& key : keys_) {
    key.w = current(key);
    centre_sum_ += key.centre * key.w;
    key.gradient = (key.window - key.centre * window_residual_) / in_window_ + key.penalty * key.w;
    key.window = 0;
  }
  window_residual_ = in_window_ = 0;
  known_ = true;
  estimate_.reset();
}

void FtrlServer::read(std::span<double> values) const {
  for (std::size_t j = 0; j < keys_.size(); ++j) values[j] = pushes_ > 0 ? current(keys_[j]) : keys_[j].w;
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
    columns[1][j] = current_z(keys_[j]);
    columns[2][j] = keys_[j].squares;
    columns[3][j] = keys_[j].rate;
  }
  return columns;
}

}  // namespace muster
