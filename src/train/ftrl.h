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
  double extra() const override { return centre_sum_; }
  RangeEstimate estimate(std::span<const double> scale) const override;
  // The model, z, n, ρ and t.
  std::vector<std::vector<double>> columns() const override;

 private:
  struct Key {
    double w = 0;             // as of its last touch
    double z, squares = 0;    // z, n
    double rate;              // ρ
    double centre, seen = 0;  // k; A at the last touch
    double penalty, l1;       // p, q
    double window = 0;        // Σ g since the window began
    double gradient = 0;      // of F without its last sum, by the last whole window
  };
  double current_z(const Key& key) const { return key.z - key.centre * (drift_ - key.seen); }
  double current(const Key& key) const;
  void update(Key& key, double g);
  void end_of_push(double residual);

  std::vector<Key> keys_;
  double first_rate_, radius_, epoch_pushes_;
  double pushes_ = 0;      // t
  double drift_ = 0;       // A = Σ R
  double centre_sum_ = 0;  // Σ k w
  double window_residual_ = 0, in_window_ = 0;
  bool known_ = false;
  mutable std::optional<RangeEstimate> estimate_;  // of the last whole window
};

}  // namespace muster
