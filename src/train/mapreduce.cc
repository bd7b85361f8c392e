#include "train/mapreduce.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "cluster/collectives.h"
#include "solver/point.h"

namespace muster {
namespace {

constexpr std::size_t kMostRounds = 1000;

}  // namespace

std::vector<double> minimum_norm_subgradient(std::span<const double> w, std::span<const double> gradient,
                                             std::span<const double> l1) {
  std::vector<double> result(gradient.begin(), gradient.end());
  for (std::size_t j = 0; j < l1.size(); ++j) {
    if (w[j] != 0) {
      result[j] += std::copysign(l1[j], w[j]);
    } else {
      result[j] = std::copysign(std::max(std::abs(result[j]) - l1[j], 0.0), result[j]);
    }
  }
  return result;
}

MapReduce::MapReduce(Objective& objective, Grid grid, MapReduceOptions options, std::size_t first_coordinate)
    : objective_(objective),
      grid_(grid),
      options_(std::move(options)),
      first_coordinate_(first_coordinate),
      start_(grid.whole.now()),
      tallies_(objective.tallies()) {
  MUSTER_CHECK(options_.penalty.size() == objective.dimension(), "one penalty for each coordinate");
  MUSTER_CHECK(options_.l1.empty() || options_.l1.size() == objective.dimension(), "one l1 for each coordinate");
  sums_.resize(1 + objective.dimension() + objective.tallies() + 2);
  weight_ = objective.weight();
  grid_.over_rows.allreduce({&weight_, 1}, ReduceOp::sum, Deadline::never());
  MUSTER_CHECK(weight_ > 0, "no worker has a row that counts");
  uncounted_ = grid_.whole.traffic();
}

// Runs the local part of a round; what it waits for and sends itself is no computing.
template <class Compute>
void MapReduce::map(const Compute& compute) {
  known_.reset();
  const Traffic before = grid_.whole.traffic();
  const Time begin = grid_.whole.now();
  grid_.whole.charge(compute());
  const Traffic after = grid_.whole.traffic();
  compute_seconds_ += grid_.whole.now() - begin - (after.wait_seconds - before.wait_seconds) -
                      (after.communicate_seconds - before.communicate_seconds);
}

void MapReduce::reduce(std::span<double> sums) {
  allreduce(grid_.over_rows, options_.reduce, sums, ReduceOp::sum, Deadline::never());
}

// Only one rank looks at the clock: ranks' clocks differ, and all must stop after the same round.
void MapReduce::ask_for_stops(std::span<double> flags) {
  Endpoint& whole = grid_.whole;
  flags[0] = options_.cancellation && options_.cancellation->cancelled() ? 1 : 0;
  flags[1] = whole.rank() == whole.members().front() && whole.now() - start_ >= options_.max_seconds ? 1 : 0;
}

double MapReduce::value_and_gradient(std::span<const double> w, std::span<double> gradient) {
  const std::optional<std::vector<double>> known = std::exchange(known_, std::nullopt);
  if (known && std::equal(w.begin(), w.end(), known->begin(), known->end())) return finish(w, gradient);
  return evaluate([&](double& value, std::span<double> by_w,
                      std::span<double> tallies) { return objective_.value_and_gradient(w, value, by_w, tallies); },
                  w, gradient);
}

double MapReduce::value_and_gradient_on_line(double t, std::span<const double> w, std::span<double> gradient) {
  return evaluate(
      [&](double& value, std::span<double> by_w, std::span<double> tallies) {
        return objective_.value_and_gradient_on_line(t, w, value, by_w, tallies);
      },
      w, gradient);
}

template <class Compute>
double MapReduce::evaluate(const Compute& compute, std::span<const double> w, std::span<double> gradient) {
  const std::size_t n = dimension();
  const std::span<double> sums(sums_);
  map([&] { return compute(sums[0], sums.subspan(1, n), sums.subspan(1 + n, tallies_.size())); });
  ++evaluations_;
  ++passes_;
  ask_for_stops(sums.last(2));
  reduce(sums);
  return finish(w, gradient);
}

double MapReduce::finish(std::span<const double> w, std::span<double> gradient) {
  const std::size_t n = dimension();
  const std::span<const double> sums(sums_);
  const std::vector<double>&p = options_.penalty, &q = options_.l1;
  double penalty = 0;
  in_stretches(n, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j) gradient[j] = sums[1 + j] / weight_ + p[j] * w[j];
    penalty += sum_in_lanes(end - begin, [&](std::size_t j) { return p[begin + j] * w[begin + j] * w[begin + j]; });
  });
  const double absolute = sum_in_lanes(q.size(), [&](std::size_t j) { return q[j] * std::abs(w[j]); });
  // What is left of the sums, and what is not of rows: added over column blocks, which all have value and tallies.
  const auto rest = sums.subspan(n + 1);
  std::vector<double> whole_sums{sums[0]};
  whole_sums.insert(whole_sums.end(), rest.begin(), rest.end());
  if (!grid_.in_first_block()) std::fill(whole_sums.begin(), whole_sums.end() - 2, 0.0);
  whole_sums.insert(whole_sums.end(), {penalty, absolute});
  grid_.sum_over_columns(whole_sums);
  std::copy_n(whole_sums.begin() + 1, tallies_.size(), tallies_.begin());
  const double* last = whole_sums.data() + 1 + tallies_.size();
  cancelled_ = last[0] > 0;
  out_of_time_ = last[1] > 0;
  return whole_sums[0] / weight_ + 0.5 * last[2] + last[3];
}

template <class Compute>
void MapReduce::product_of(const Compute& compute, std::span<const double> v, std::span<double> product) {
  const Traffic before = grid_.whole.traffic();
  const std::size_t n = product.size();
  const std::span<double> sums = std::span(sums_).first(n + 2);
  map([&] { return compute(sums.first(n)); });
  ++passes_;
  ask_for_stops(sums.last(2));
  reduce(sums);
  for (std::size_t j = 0; j < n; ++j) product[j] = sums[j] / weight_ + options_.penalty[j] * v[j];
  double asked[] = {sums[n], sums[n + 1]};
  grid_.sum_over_columns(asked);
  cancelled_ = asked[0] > 0;
  out_of_time_ = asked[1] > 0;
  const Traffic after = grid_.whole.traffic();
  uncounted_.bytes_sent += after.bytes_sent - before.bytes_sent;
  uncounted_.messages_sent += after.messages_sent - before.messages_sent;
}

void MapReduce::curvature_product(std::span<const double> v, std::span<double> product) {
  product_of([&](std::span<double> sums) { return objective_.curvature_product(v, sums); }, v, product);
}

void MapReduce::hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) {
  MUSTER_CHECK(objective_.has_hessian(), "a solver of Hessian products is given objectives that have them");
  product_of([&](std::span<double> sums) { return objective_.hessian_product(w, v, sums); }, v, product);
}

bool MapReduce::begin_line(std::span<const double> a, std::span<const double> b) {
  std::optional<Work> done;
  map([&] {
    done = objective_.begin_line(a, b);
    return done.value_or(Work{});
  });
  if (done) find_penalty_on_line(a, b);
  return done.has_value();
}

void MapReduce::look_along(std::span<const double> a, std::span<const double> b) {
  map([&] { return objective_.look_along(a, b); });
  find_penalty_on_line(a, b);
}

void MapReduce::find_penalty_on_line(std::span<const double> a, std::span<const double> b) {
  const std::vector<double>& p = options_.penalty;
  penalty_on_line_ = sums_in_lanes(
      p.size(), [&](std::size_t j) { return p[j] * a[j] * a[j]; },
      [&](std::size_t j) { return p[j] * a[j] * (b[j] - a[j]); },
      [&](std::size_t j) { return p[j] * (b[j] - a[j]) * (b[j] - a[j]); });
  sum_over_blocks(penalty_on_line_);
}

Problem::OnLine MapReduce::on_line(double t) {
  double sums[] = {0, 0};
  map([&] { return objective_.value_on_line(t, sums[0], sums[1]); });
  reduce(sums);
  // The rows', which all column blocks have: the first one's.
  if (!grid_.in_first_block()) sums[0] = sums[1] = 0;
  sum_over_blocks(sums);
  const auto [at_a, mixed, along] = penalty_on_line_;
  return {sums[0] / weight_ + 0.5 * (at_a + t * (2 * mixed + t * along)), sums[1] / weight_ + mixed + t * along};
}

SentPerRound MapReduce::sent_per_round() const {
  if (evaluations_ == 0) return {};
  const Traffic now = grid_.whole.traffic();
  const auto evaluations = static_cast<double>(evaluations_);
  return {static_cast<double>(now.bytes_sent - uncounted_.bytes_sent) / evaluations,
          static_cast<double>(now.messages_sent - uncounted_.messages_sent) / evaluations};
}

Problem::Verdict MapReduce::after_round(std::int64_t round, std::span<const double> w, double value,
                                        std::span<const double> gradient) {
  RoundState state{round, w, gradient, value, 0, tallies()};
  if (options_.l1.empty()) {
    state.gradient_norm = dot(gradient, gradient);
  } else {
    const std::vector<double> least = minimum_norm_subgradient(w, gradient, options_.l1);
    state.gradient_norm = dot(least, least);
  }
  sum_over_blocks({&state.gradient_norm, 1});
  state.gradient_norm = std::sqrt(state.gradient_norm);
  const RoundReport report{round, grid_.whole.now() - start_, value, state.gradient_norm};
  if ((round - 1) % keep_every_ == 0) rounds_.push_back(report);
  if (rounds_.size() > kMostRounds) {  // keep every second one
    for (std::size_t i = 0; 2 * i < rounds_.size(); ++i) rounds_[i] = rounds_[2 * i];
    rounds_.resize((rounds_.size() + 1) / 2);
    keep_every_ *= 2;
  }
  if (options_.on_round) options_.on_round(report, state);
  if (options_.judge) {
    Verdict verdict = options_.judge(state);
    if (verdict.stop) return verdict;
  }
  if (cancelled_) return {true, StopReason::interrupted, "a stop was asked for"};
  if (out_of_time_) return {true, StopReason::max_time, "the limit on time was reached"};
  return {};
}

}  // namespace muster
