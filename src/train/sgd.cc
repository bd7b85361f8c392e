#include "train/sgd.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/random.h"
#include "train/mapreduce.h"

namespace muster {
namespace {

constexpr std::size_t kTouchesBetweenSettling = 16;  // of each key

double soft_threshold(double value, double by) {
  return std::copysign(std::max(std::abs(value) - by, 0.0), value);
}

}  // namespace

std::int64_t RecentStaleness::see(std::int64_t staleness) {
  current_ = std::max(current_, staleness);
  largest_ = std::max(largest_, staleness);
  if (++seen_ >= window_) {
    largest_ = current_;
    current_ = 0;
    seen_ = 0;
  }
  return largest_;
}

SgdServer::SgdServer(const RunFacts& facts, const RowFacts& rows, KeyRange range,
                     std::vector<std::vector<double>> columns, const SgdOptions& options)
    : options_(options),
      first_key_(range.begin),
      sums_(rows.sums),
      centring_(std::max<std::size_t>(rows.sums, 1)),
      weight_(facts.weight),
      lipschitz_(facts.lipschitz),
      smoothness_(std::max(rows.smoothness, facts.lipschitz)),
      epoch_pushes_(rows.epoch_pushes),
      expected_staleness_(static_cast<double>(facts.workers()) - 1),
      recent_(static_cast<std::int64_t>(facts.workers()) - 1, rows.epoch_pushes) {
  if (!(smoothness_ > 0)) smoothness_ = 1;
  const bool restored = columns.size() > 1;
  for (std::size_t i = 0; i < range.size(); ++i) {
    const std::size_t j = range.begin + i;
    Key key{.q = columns[0][i], .centre = rows.centre[j], .penalty = facts.penalty[j], .l1 = facts.l1[j], .rarity = 0};
    if (rows.touched[j] > 0) key.rarity = 1 / rows.touched[j];
    if (restored) {
      key.squares = columns[1][i];
      epochs_ = columns[2][i];
    }
    if (options_.adagrad) key.rate = 1 / (1 + std::sqrt(key.squares) / (2 * smoothness_ * options_.radius));
    keys_.push_back(key);
  }
  settle();
}

double SgdServer::step_for(std::int64_t staleness) {
  const auto safe = [&](double late) { return 1 / (2 * (smoothness_ + lipschitz_ * late)); };
  const auto late = static_cast<double>(staleness), recent = static_cast<double>(recent_.see(staleness));
  double step = options_.step > 0 ? options_.step : safe(recent);
  if (options_.staleness_damping) {
    const double damping = (1 + expected_staleness_) / (1 + late);
    step = options_.step > 0 ? std::min(options_.step, options_.step * damping)
                             : std::min(safe(late), safe(expected_staleness_) * damping);
  }
  return options_.decay ? step / (1 + epochs_) : step;
}

void SgdServer::update(std::size_t place, double g, double step) {
  Key& key = keys_[place];
  Centring& centring = centring_[output_of(place)];
  centring.base_sum -= key.centre * (key.q - key.rate * key.centre * key.seen);
  centring.drift_sum -= key.rate * key.centre * key.centre;
  double v = value(place);
  const double gradient = g - key.centre * centring.residual;
  key.window += g;
  if (options_.adagrad) {
    key.squares += gradient * gradient;
    key.rate = 1 / (1 + std::sqrt(key.squares) / (2 * smoothness_ * options_.radius));
  }
  const double own = step * key.rate, penalised = own * key.rarity;
  v -= own * gradient;
  key.q = soft_threshold(v, penalised * key.l1) / (1 + penalised * key.penalty);
  key.seen = centring.drift_after;
  centring.base_sum += key.centre * (key.q - key.rate * key.centre * key.seen);
  centring.drift_sum += key.rate * key.centre * key.centre;
}

Work SgdServer::apply(const Push& push) {
  const double step = step_for(push.staleness);
  const std::size_t count = push.dense ? keys_.size() : push.keys.size();
  MUSTER_CHECK(push.values.size() == count, "a value for each key");
  MUSTER_CHECK(push.residuals.size() == sums_, "a residual for each intercept that centres");
  for (std::size_t k = 0; k < sums_; ++k) {
    centring_[k].residual = push.residuals[k];
    centring_[k].drift_after = centring_[k].drift + step * push.residuals[k];
  }
  for (std::size_t i = 0; i < count; ++i) update(push.dense ? i : push.keys[i], push.values[i], step);
  for (Centring& centring : centring_) centring.drift = centring.drift_after;
  epochs_ += push.rows_weight / weight_;
  touched_ += count;
  end_of_push();
  const auto n = static_cast<double>(count);
  return {.bytes = 2 * sizeof(Key) * n, .flops = 30 * n};
}

void SgdServer::end_of_push() {
  // Sums kept by adding and taking away forget digits: now and then they are made anew, at the cost of a few touches.
  if (touched_ >= kTouchesBetweenSettling * keys_.size()) settle();
  for (Centring& centring : centring_) centring.window_residual += centring.residual;
  if (++in_window_ < epoch_pushes_) return;
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    Key& key = keys_[j];
    const double residual = centring_[output_of(j)].window_residual;
    key.gradient = (key.window - key.centre * residual) / in_window_ + key.penalty * value(j);
    key.window = 0;
  }
  for (Centring& centring : centring_) centring.window_residual = 0;
  in_window_ = 0;
  known_ = true;
  estimate_.reset();
}

void SgdServer::settle() {
  for (Centring& centring : centring_) centring.base_sum = centring.drift_sum = 0;
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    Key& key = keys_[j];
    Centring& centring = centring_[output_of(j)];
    key.q = value(j);
    key.seen = 0;
    centring.base_sum += key.centre * key.q;
    centring.drift_sum += key.rate * key.centre * key.centre;
  }
  for (Centring& centring : centring_) centring.drift = centring.drift_after = 0;
  touched_ = 0;
}

std::vector<double> SgdServer::extras() const {
  std::vector<double> sums;
  for (std::size_t k = 0; k < sums_; ++k)
    sums.push_back(centring_[k].base_sum + centring_[k].drift * centring_[k].drift_sum);
  return sums;
}

void SgdServer::read(std::span<double> values) const {
  for (std::size_t j = 0; j < keys_.size(); ++j) values[j] = value(j);
}

void SgdServer::read(std::span<const std::uint32_t> keys, std::span<double> values) const {
  for (std::size_t i = 0; i < keys.size(); ++i) values[i] = value(keys[i]);
}

RangeEstimate SgdServer::estimate(std::span<const double> scale) const {
  // Of numbers that change once a window: made once a window, since it costs as much as the range is long.
  if (estimate_) return *estimate_;
  RangeEstimate result{.known = known_};
  if (!known_) return result;
  for (std::size_t j = 0; j < keys_.size(); ++j) {
    const Key& key = keys_[j];
    const double v = value(j);
    const double least = minimum_norm_subgradient({&v, 1}, {&key.gradient, 1}, {&key.l1, 1})[0];
    result.square += scale[j] * least * scale[j] * least;
    result.plain += least * least;
    result.penalty += 0.5 * key.penalty * v * v + key.l1 * std::abs(v);
  }
  estimate_ = result;
  return result;
}

std::vector<std::vector<double>> SgdServer::columns() const {
  std::vector<std::vector<double>> columns(3, std::vector<double>(keys_.size(), epochs_));
  read(columns[0]);
  for (std::size_t j = 0; j < keys_.size(); ++j) columns[1][j] = keys_[j].squares;
  return columns;
}

BatchWorker::BatchWorker(RowObjective& objective, const RunFacts& facts, std::shared_ptr<const RowFacts> rows,
                         std::size_t place, std::uint64_t seed)
    : objective_(objective),
      rows_(std::move(rows)),
      factor_(static_cast<double>(facts.workers()) * static_cast<double>(rows_->own_batches) / facts.weight),
      place_(static_cast<std::uint32_t>(place)),
      seed_(seed),
      order_(rows_->own_batches) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  next_ = order_.size();
}

void BatchWorker::choose() {
  if (order_.empty()) return;
  if (next_ == order_.size()) next_ = 0;
  if (objective_.in_order()) {
    batch_ = next_++;
    return;
  }
  const RandomStream random(seed_, place_, RandomPurpose::row_order);
  const auto left = static_cast<double>(order_.size() - next_);
  std::swap(order_[next_], order_[next_ + static_cast<std::size_t>(random.uniform(drawn_++) * left)]);
  batch_ = order_[next_++];
}

std::span<const std::uint32_t> BatchWorker::next_keys() {
  choose();
  if (order_.empty()) return {};
  return objective_.keys(batch_);
}

void BatchWorker::step(std::span<const double> pulled, std::span<const double> extras, WorkerStep& out) {
  if (dense()) choose();
  out = WorkerStep{};
  out.values.assign(pulled.size(), 0.0);
  out.residuals.assign(extras.size(), 0.0);
  if (order_.empty()) return;
  // Every batch touches the intercepts that centre; they come last.
  at_.assign(pulled.begin(), pulled.end());
  const std::size_t intercepts = at_.size() - extras.size();
  for (std::size_t k = 0; k < extras.size(); ++k) at_[intercepts + k] -= extras[k];
  out.work = objective_.batch_gradient(batch_, at_, out.value, out.values);
  out.rows_weight = objective_.batch_weight(batch_);
  for (double& value : out.values) value *= factor_;
  std::copy_n(out.values.begin() + static_cast<std::ptrdiff_t>(intercepts), extras.size(), out.residuals.begin());
}

}  // namespace muster
