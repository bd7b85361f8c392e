// What a batch solver sees: a function of a vector and its gradient, wherever the rows are. Trainers implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "muster/report.h"

namespace muster {

// f: R^n -> R, convex, smooth. Every rank of a group runs the same solver on the same numbers: the values and gradients
// returned are equal bit for bit on all of them, so all take the same steps and stop together.
class Problem {
 public:
  virtual ~Problem() = default;
  virtual std::size_t dimension() const = 0;  // of the block of w that this rank holds

  // Returns f(w), penalty included, and writes ∇f(w).
  virtual double value_and_gradient(std::span<const double> w, std::span<double> gradient) = 0;

  // Writes B·v for a constant B with ∇²f(w) ≼ B for every w.
  virtual void curvature_product(std::span<const double> v, std::span<double> product) = 0;
  // Writes ∇²f(w)·v: for solvers that need it; a problem without it is not given to one.
  virtual void hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) = 0;

  // Begins a line: whether φ(t) = f(a + t(b − a)) costs scalars only, until something is evaluated, because what the
  // rows made of a and b, evaluated lately, is kept. No: the caller evaluates f there.
  virtual bool begin_line(std::span<const double> /*a*/, std::span<const double> /*b*/) { return false; }
  struct OnLine {
    double value = 0, slope = 0;
  };
  virtual OnLine on_line(double /*t*/) { return {}; }  // φ(t) and φ'(t)

  // Whether a line can be begun before b is evaluated, for as much as this saves in the evaluation that ends it, of a
  // point w on it.
  virtual bool looks_along() const { return false; }
  virtual void look_along(std::span<const double> /*a*/, std::span<const double> /*b*/) {}
  virtual double value_and_gradient_on_line(double /*t*/, std::span<const double> w, std::span<double> gradient) {
    return value_and_gradient(w, gradient);
  }

  // Where the ranks hold blocks of w instead of all of it: adds partial sums over coordinates (dot products, squared
  // norms) over the blocks, so that every rank has the whole. Several in one call cost one exchange. Where w is whole:
  // nothing to do. Solvers say it of every sum over coordinates they take a decision by.
  virtual void sum_over_blocks(std::span<double> /*partial_sums*/) {}
  // The number, in the whole of w, of the first coordinate held: what is random by coordinate goes by these numbers.
  virtual std::size_t first_coordinate() const { return 0; }

  // Asked after each round, with the value and gradient at the current point: why to stop, or nothing. The answer is
  // the same on every rank. Implementations look at tolerance, time, cancellation and their own observations.
  struct Verdict {
    bool stop = false;
    StopReason reason = StopReason::converged;
    std::string detail;
  };
  virtual Verdict after_round(std::int64_t round, std::span<const double> w, double value,
                              std::span<const double> gradient) = 0;

  // Whether after_round would end the run whatever the point, as of the last evaluation: a round of several evaluations
  // then breaks off where it began. The same on every rank.
  virtual bool stop_requested() const { return false; }
};

struct SolverResult {
  std::vector<double> w;  // the last finite point
  StopReason reason = StopReason::converged;
  std::string detail;
  std::int64_t rounds = 0;
  std::int64_t evaluations = 0;  // of f and its gradient
};

}  // namespace muster
