// FTRL-Proximal: a step size for each coordinate, and exact zeros from l1.
//
// Workers push estimates g of ∇f as in sgd.h (BatchWorker). After t pushes a server's model is, coordinate by
// coordinate,
//
//     w = argmin_w  Σ_{s<=t} g_s w + ½ ρ_0 (w − w_0)² + ½ Σ_s σ_s (w − w_s)² + t (q|w| + ½ p w²)
//       = 0 where |z| <= tq, else −(z − sign(z) tq)/(ρ + tp)
//
//     z ← z + g − σw,   n ← n + g²,   ρ = ρ_0 + √n/r,   σ: the growth of ρ;   at first z = −ρ_0 w_0
//
// The penalty grows with t as the gradients do, so that what is minimised is the average loss plus the penalty once: F.
// (McMahan et al. add λ|w|₁ once to the sum over all rows; their λ is tq.) ρ_0 = 2Lm keeps the first steps stable under
// the staleness of m workers; r is the size of a coefficient that matters, 1 for logistic loss.
//
// A key that is not touched costs nothing: what t and the centring (sgd.h) change for it comes with its next touch, and
// where the whole model is read.
//
// Source: H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/server_rule.h"
#include "train/sgd_facts.h"

namespace muster {

class FtrlServer final : public ServerRule {
 public:
  // columns: the model of the range, or what columns() gave. radius: r.
  FtrlServer(const RunFacts& facts, const RowFacts& rows, KeyRange range, std::vector<std::vector<double>> columns,
             double radius);

  Work apply(const Push& push) override;
  void read(std::span<double> values) const override;
  void read(std::span<const std::uint32_t> keys, std::span<double> values) const override;
  std::vector<double> extras() const override { return sums_ > 0 ? centre_sum_ : std::vector<double>(); }
  RangeEstimate estimate(std::span<const double> scale) const override;
  // The model, z, n, ρ and t.
  std::vector<std::vector<double>> columns() const override;

 private:
  struct Key {
    double w = 0;             // as of its last touch
    double z, squares = 0;    // z, n
    double rate;              // ρ
    double centre, seen = 0;  // k; A, of its intercept, at the last touch
    double penalty, l1;       // p, q
    double window = 0;        // Σ g since the window began
    double gradient = 0;      // of F without its last sum, by the last whole window
  };
  // Which intercept centres the key at a place of the range.
  std::size_t output_of(std::size_t place) const { return sums_ > 1 ? (first_key_ + place) % sums_ : 0; }
  double current_z(std::size_t place) const {
    const Key& key = keys_[place];
    return key.z - key.centre * (drift_[output_of(place)] - key.seen);
  }
  double current(std::size_t place) const;
  void update(std::size_t place, double g);
  void end_of_push(std::span<const double> residuals);

  std::vector<Key> keys_;
  std::size_t first_key_, sums_;
  double first_rate_, radius_, epoch_pushes_;
  double pushes_ = 0;  // t
  // By intercept that centres:
  std::vector<double> drift_;       // A = Σ R
  std::vector<double> centre_sum_;  // Σ k w
  std::vector<double> window_residual_;
  double in_window_ = 0;
  bool known_ = false;
  mutable std::optional<RangeEstimate> estimate_;  // of the last whole window
};

}  // namespace muster
