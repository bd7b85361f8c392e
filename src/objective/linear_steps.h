// The rows of a linear objective dealt into stochastic steps that threads take on one shared model: what hogwild
// (train/hogwild.h) asks of the data, and the numbers that kernels/shared_steps.h is given.
//
// Coordinates: the steps move u_j = v_j / scale_j, and see sparse rows as they are, not centred (that would make them
// dense): their intercept is the margin of the row of zeros, a = b − Σ_j u_j centre_j. Dense rows are centred one by
// one, and a = b.
//
// Softmax has u_jk and a_k for each class k, all of a row's at once.
//
// Scale: column j's step is measured by m_j = (1/S) Σ_i s_i x_ij² + λ_j/h, with λ_j the penalty by u_j and h the
// largest loss'', which makes every diagonal entry of the Hessian at most h. A row is then as long as N_i = s_i (Σ_j
// x_ij²/m_j + 1), and a row longer than their mean is taken in k_i = ⌈N_i / mean N⌉ parts, each of them a step with
// 1/k_i of its weight. So no step is more than about twice the average one, the pass has at most twice as many steps as
// rows, and no row has to be rare to be heard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/executor.h"
#include "kernels/shared_steps.h"
#include "objective/linear_rows.h"

namespace muster {

// Threads: one call at a time; inside take() the executor's threads share the model.
class LinearSteps {
 public:
  // F is the objective over its weight plus ½ Σ penalty v² + Σ l1 |v|, by coordinate and equal for all classes of a
  // column (l1: or empty). rows: the objective's, all in memory, since they are taken in random order. objective, rows
  // and executor must outlive it.
  LinearSteps(const LinearObjective& objective, const Shard& rows, Executor& executor, std::span<const double> penalty,
              std::span<const double> l1, std::uint64_t seed);

  // Of a pass in which every row is taken whole.
  std::size_t count() const { return order_.size(); }

  // Puts the shared model to v, and the snapshot too. gradient: of F without its l1, at v. length: of steps; at 1, one
  // by the longest part of a row goes no further than that row's own minimum.
  void begin(std::span<const double> v, std::span<const double> gradient, double length);
  // The first `steps` of a pass in a new order, on the executor's threads. With one thread the same every time.
  void take(std::size_t steps);
  // The shared model.
  void read(std::span<double> v) const;

 private:
  void measure_columns();
  void divide_rows();
  void count_columns();
  void deal();
  void shuffle(std::size_t begin, std::size_t end);

  const LinearObjective& objective_;
  Executor& executor_;
  const Shard& shard_;
  std::size_t outputs_;
  std::vector<double> penalty_, l1_;  // by u_j
  std::uint64_t seed_;
  double largest_curvature_;                     // h
  std::vector<double> m_, share_;                // by column: see above; of the steps that touch it
  std::vector<double> weights_;                  // ω_i, by row
  std::vector<std::uint32_t> parts_;             // k_i, by row
  double longest_ = 0;                           // of all steps, ω_i (Σ_j x_ij²/m_j + 1)
  std::vector<std::uint32_t> order_;             // rows, by step
  std::vector<SharedCoefficient> coefficients_;  // the intercepts last
  std::uint64_t passes_ = 0;
};

}  // namespace muster
