// What a trainer needs to know of a model: an objective on one worker's rows. Linear models are the objectives Muster
// ships (src/objective); a program may bring its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace muster {

// Computation done, as the doer reports it; a simulated clock turns it into time, a real one ignores it.
struct Work {
  double bytes = 0;  // memory read and written
  double flops = 0;  // floating-point operations

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    flops += other.flops;
    return *this;
  }
};

// Sums over rows that an exact solver needs instead of the rows. For each row, with centre c, the augmented vector
//     z = [1, x_1 − c_1, …, x_d − c_d, t − c_{d+1}],   t = y − offset,   p = d + 2 entries,
// and the sum over rows is M = Σ s z zᵀ, of which the upper triangle is kept row by row: entry (i, j), i ≤ j, at
// i·p − i(i−1)/2 + (j − i). Sums with equal centres add entry by entry, so shards combine by addition alone.
struct Statistics {
  enum class Precision { float64, double_double };
  std::size_t columns = 0;                   // d
  Precision precision = Precision::float64;  // double_double: every entry is two doubles, high then low
  std::vector<double> centre;                // d + 1 values, the same on every worker
  std::vector<double> sums;                  // p(p+1)/2 entries

  std::size_t order() const { return columns + 2; }
  std::size_t entries() const { return order() * (order() + 1) / 2; }
};

// A sum of losses over the rows of one shard, as a function of parameters w. Values are sums weighted by the rows'
// weights s_i, not averages: the trainer adds the workers' sums and divides by S = Σ s_i, so unequal and empty shards
// need no care. A penalty is not part of it; trainers add that once.
//
// Threads: one call at a time. Failure: where rows are read from files during a pass, InputError; else implementations
// do not throw.
class Objective {
 public:
  virtual ~Objective() = default;

  virtual std::size_t dimension() const = 0;  // length of w
  virtual std::size_t rows() const = 0;       // rows on this worker
  virtual double weight() const = 0;          // Σ s_i over this worker's rows

  // Further sums a pass can collect for an observer (for example rows on the wrong side of the boundary): how many.
  virtual std::size_t tallies() const { return 0; }

  // Writes Σ s_i loss_i(w) to value, its gradient (length dimension()) to gradient, and the tallies (length tallies()).
  virtual Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                                  std::span<double> tallies) = 0;

  // Whether curvature_product() can be asked: the same on every worker.
  virtual bool bounds_curvature() const { return false; }
  // Writes B·v, where B is a constant matrix with ∇²(Σ s_i loss_i)(w) ≼ B for every w; for the squared loss B is the
  // Hessian itself. Its largest eigenvalue, over S, is the L of step size 1/L.
  virtual Work curvature_product(std::span<const double> /*v*/, std::span<double> /*product*/) { return {}; }

  // Whether hessian_product() can be asked: the same on every worker.
  virtual bool has_hessian() const { return false; }
  // Writes ∇²(Σ s_i loss_i)(w)·v. Many products are asked for at one w, most often the one that was evaluated last:
  // what depends on w alone is worth keeping.
  virtual Work hessian_product(std::span<const double> /*w*/, std::span<const double> /*v*/,
                               std::span<double> /*product*/) {
    return {};
  }

  // Begins a line: from then on φ(t) = Σ s_i loss_i(a + t(b − a)) can be asked, without a pass over the rows, until
  // something is evaluated. For objectives that keep what the rows made of a and b, where both were evaluated lately.
  // Nothing: it can not; then on no worker. Being asked once, it may begin to keep.
  virtual std::optional<Work> begin_line(std::span<const double> /*a*/, std::span<const double> /*b*/) {
    return std::nullopt;
  }
  // Writes φ(t) to value and φ'(t) to slope.
  virtual Work value_on_line(double /*t*/, double& /*value*/, double& /*slope*/) { return {}; }

  // Whether look_along() can be asked: the same on every worker. For objectives to which finding what the rows make of
  // a point, and evaluating from that, cost no more than evaluating at once.
  virtual bool looks_along() const { return false; }
  // Begins a line from a, evaluated lately, to b, of which it finds no more than the line needs.
  virtual Work look_along(std::span<const double> /*a*/, std::span<const double> /*b*/) { return {}; }
  // As value_and_gradient(), at the point t of the line that look_along() has begun last; w is that point.
  virtual Work value_and_gradient_on_line(double /*t*/, std::span<const double> w, double& value,
                                          std::span<double> gradient, std::span<double> tallies) {
    return value_and_gradient(w, value, gradient, tallies);
  }
};

// What an objective can offer besides, whose rows see w through margins alone: f_k(w) = Σ_i s_i φ_i(m_i), m = Aw linear
// in w. Then w can be cut by coordinates: each worker of a row block holds some of A's columns, its parts of the
// margins are added over the workers that hold the others, and from whole margins each gets its own part of the
// gradient.
class MarginFunction {
 public:
  virtual ~MarginFunction() = default;

  virtual std::size_t margin_count() const = 0;  // length of m: the same on all workers of a row block

  // Writes Av for the coordinates held here, their part of the margins of v.
  virtual Work margins(std::span<const double> v, std::span<double> margins) = 0;

  // From whole margins: as value_and_gradient(), the gradient by the coordinates held here.
  virtual Work value_and_gradient_at(std::span<const double> margins, double& value, std::span<double> gradient,
                                     std::span<double> tallies) = 0;

  // As Objective::value_on_line() between a and b, from the whole margins at both.
  virtual Work value_on_line_at(std::span<const double> a, std::span<const double> b, double t, double& value,
                                double& slope) = 0;

  // From the whole margins of v: as curvature_product().
  virtual Work curvature_product_at(std::span<const double> margins, std::span<double> product) = 0;

  // From the whole margins of w and those of v: as hessian_product(), where the objective has_hessian().
  virtual Work hessian_product_at(std::span<const double> /*margins*/, std::span<const double> /*of_v*/,
                                  std::span<double> /*product*/) {
    return {};
  }
};

// An objective whose rows can be taken a few at a time and touch few of the parameters: what stochastic solvers need.
class RowObjective : public Objective {
 public:
  // Deals the rows into batches of about `rows` rows, by the seed, each row into one batch; the batches keep their rows
  // until dealt again. Returns their number (0: no rows here).
  virtual std::size_t deal(std::size_t rows, std::uint64_t seed) = 0;

  // Whether batches should be asked for in order, 0, 1, 2, … and 0 again, all questions about one before the next: so
  // where rows are read as a stream and a batch behind the last costs reading from the first row on. In any order they
  // are the same batches.
  virtual bool in_order() const { return false; }

  // Of batch b: the parameters its rows touch, ascending; Σ s_i over its rows. The span holds until dealt again, or
  // where batches go in order until the next is asked for.
  virtual std::span<const std::uint32_t> keys(std::size_t batch) = 0;
  virtual double batch_weight(std::size_t batch) = 0;

  // Writes Σ s_i loss_i over the batch's rows, and its derivatives by the parameters keys(batch), in that order; w
  // holds those parameters' values, in that order.
  virtual Work batch_gradient(std::size_t batch, std::span<const double> w, double& value,
                              std::span<double> gradient) = 0;

  // The largest second derivative of one row's loss along its own gradient, max_i (s_i n / S)·|x_i|²·sup loss'' over
  // the n rows here: bounds the step of stochastic rules. Costs one pass.
  virtual double largest_row_curvature() = 0;
};

}  // namespace muster
