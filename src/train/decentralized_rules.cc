#include "train/decentralized_rules.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace muster {

Rule::Rule(std::vector<double> start, RuleOptions options)
    : w_(std::move(start)), direction_(w_.size()), options_(std::move(options)) {}

void Rule::soften(std::span<double> w) const {
  for (std::size_t j = 0; j < options_.l1.size(); ++j)
    w[j] = std::copysign(std::max(std::abs(w[j]) - options_.step * options_.l1[j], 0.0), w[j]);
}

namespace {

class Dgd final : public Rule {
 public:
  Dgd(std::vector<double> start, RuleOptions options) : Rule(std::move(start), std::move(options)) {}

  std::size_t message_size() const override { return w_.size(); }
  void say(std::span<const double> gradient, std::span<double> message) override {
    gradient_.assign(gradient.begin(), gradient.end());
    std::copy(w_.begin(), w_.end(), message.begin());
  }
  void hear(std::span<const double>, std::span<const double> mixed) override {
    for (std::size_t j = 0; j < w_.size(); ++j) direction_[j] = w_[j];
    for (std::size_t j = 0; j < w_.size(); ++j) w_[j] = mixed[j] - options_.step * gradient_[j];
    soften(w_);
    for (std::size_t j = 0; j < w_.size(); ++j) direction_[j] = (direction_[j] - w_[j]) / options_.step;
  }

 private:
  std::vector<double> gradient_;
};

class Nids final : public Rule {
 public:
  Nids(std::vector<double> start, RuleOptions options)
      : Rule(std::move(start), std::move(options)), dual_(w_.size()), carried_(w_.size()), gradient_(w_.size()) {
    MUSTER_CHECK(options_.l1.empty() || options_.local_steps == 1, "no local steps with l1");
  }

  std::size_t message_size() const override { return w_.size(); }
  void say(std::span<const double> gradient, std::span<double> message) override {
    gradient_.assign(gradient.begin(), gradient.end());
    for (std::int64_t step = 1; step < options_.local_steps; ++step) {
      for (std::size_t j = 0; j < w_.size(); ++j) w_[j] -= options_.step * (gradient_[j] + dual_[j]);
      options_.gradient(w_, gradient_);
    }
    for (std::size_t j = 0; j < w_.size(); ++j)
      message[j] = w_[j] + carried_[j] - options_.step * (gradient_[j] + dual_[j]);
  }
  // carried_: w − z.
  void hear(std::span<const double> message, std::span<const double> mixed) override {
    const double dual_step = 1 / (static_cast<double>(options_.local_steps) * options_.step);
    for (std::size_t j = 0; j < w_.size(); ++j) {
      const double correction = first_ ? 0 : 0.5 * (message[j] - mixed[j]);
      dual_[j] += dual_step * correction;
      direction_[j] = gradient_[j] + dual_[j];
      w_[j] = carried_[j] = message[j] - carried_[j] - correction;
    }
    soften(w_);
    for (std::size_t j = 0; j < w_.size(); ++j) carried_[j] = w_[j] - carried_[j];
    first_ = false;
  }

 private:
  std::vector<double> dual_, carried_, gradient_;
  bool first_ = true;  // w¹ is w⁰ − αg⁰, without averaging
};

class Tracking final : public Rule {
 public:
  Tracking(std::vector<double> start, RuleOptions options)
      : Rule(std::move(start), std::move(options)), correction_(w_.size()), tracked_(w_.size()), push_(pushes()) {
    MUSTER_CHECK(options_.local_steps == 1 || (options_.l1.empty() && !push_), "no local steps with l1 or push-sum");
  }

  std::size_t message_size() const override { return 2 * w_.size() + (push_ ? 1 : 0); }
  void say(std::span<const double> gradient, std::span<double> message) override {
    const std::size_t n = w_.size();
    gradient_.assign(gradient.begin(), gradient.end());
    std::fill(tracked_.begin(), tracked_.end(), 0.0);
    const double share = 1 / static_cast<double>(options_.local_steps);
    for (std::int64_t step = 1;; ++step) {
      for (std::size_t j = 0; j < n; ++j) {
        const double y = gradient_[j] + correction_[j];
        tracked_[j] += share * y;
        w_[j] -= options_.step * y / weight_;
      }
      if (step == options_.local_steps) break;
      options_.gradient(w_, gradient_);
    }
    soften(w_);
    for (std::size_t j = 0; j < n; ++j) {
      message[j] = weight_ * w_[j];
      message[n + j] = tracked_[j];
      direction_[j] = tracked_[j] / weight_;
    }
    if (push_) message[2 * n] = weight_;
  }
  void hear(std::span<const double>, std::span<const double> mixed) override {
    const std::size_t n = w_.size();
    if (push_) weight_ = mixed[2 * n];
    for (std::size_t j = 0; j < n; ++j) {
      w_[j] = mixed[j] / weight_;
      correction_[j] += mixed[n + j] - tracked_[j];
    }
  }

 private:
  bool pushes() const { return options_.solver == NetworkSolver::push_sum; }
  std::vector<double> correction_, tracked_, gradient_;
  bool push_;
  double weight_ = 1;  // v
};

}  // namespace

std::unique_ptr<Rule> make_rule(std::vector<double> start, RuleOptions options) {
  switch (options.solver) {
    case NetworkSolver::dgd:
      return std::make_unique<Dgd>(std::move(start), std::move(options));
    case NetworkSolver::nids:
      return std::make_unique<Nids>(std::move(start), std::move(options));
    case NetworkSolver::gradient_tracking:
    case NetworkSolver::push_sum:
      return std::make_unique<Tracking>(std::move(start), std::move(options));
    case NetworkSolver::pairwise:
      break;
  }
  MUSTER_CHECK(false, "a solver without a rule of rounds");
}

}  // namespace muster
