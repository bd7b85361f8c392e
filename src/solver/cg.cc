#include "solver/cg.h"

#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "solver/point.h"

namespace muster {
namespace {

// Evaluations in a row that may find the gradient no smaller.
constexpr int kFruitless = 2;
// Steps between evaluations, at most: what is carried along has then lost a few digits.
constexpr std::int64_t kMostSteps = 2000;

class ConjugateGradients {
 public:
  ConjugateGradients(Problem& problem, std::vector<double> start, const CgOptions& options)
      : problem_(problem),
        options_(options),
        at_{std::move(start), std::vector<double>(problem.dimension())},
        product_(problem.dimension()) {}

  SolverResult run() {
    FloorDetector floor(kFruitless);
    while (true) {
      ++result_.rounds;
      ++result_.evaluations;
      if (!evaluate(problem_, at_)) return finish(StopReason::diverged, "the objective is not finite");
      if (judged_to_stop()) return finish(verdict_.reason, verdict_.detail);
      if (at_.square == 0) return finish(StopReason::converged, "the gradient is 0");
      if (floor.at_floor(at_))
        return finish(StopReason::converged, "at the rounding floor: the gradient no longer shrinks");
      if (!follow()) return finish(verdict_.reason, verdict_.detail);
    }
  }

 private:
  // Takes steps until an evaluation is due; false: the run is at its end.
  bool follow() {
    along_ = at_.gradient;
    for (double& value : along_) value = -value;
    for (std::int64_t step = 0; step < kMostSteps; ++step) {
      if (options_.first_round + result_.rounds >= options_.max_rounds) {
        verdict_ = {true, StopReason::max_rounds, "the limit on rounds was reached"};
        return false;
      }
      ++result_.rounds;
      problem_.hessian_product(at_.w, along_, product_);
      const double curvature = dot(problem_, along_, product_);
      if (!std::isfinite(curvature)) {
        verdict_ = {true, StopReason::diverged, "the curvature is not finite"};
        return false;
      }
      if (!(curvature > 0)) return step > 0 || fall_for_ever();
      advance(at_.square / curvature);
      if (judged_to_stop()) return verdict_.reason == StopReason::converged;
      if (at_.square == 0) return true;
    }
    return true;
  }

  bool fall_for_ever() {
    verdict_ = {true, StopReason::diverged, "the objective falls for ever along its gradient"};
    return false;
  }

  void advance(double alpha) {
    for (std::size_t i = 0; i < along_.size(); ++i) {
      at_.w[i] += alpha * along_[i];
      at_.gradient[i] += alpha * product_[i];
    }
    at_.value -= 0.5 * alpha * at_.square;
    const double before = std::exchange(at_.square, dot(problem_, at_.gradient, at_.gradient));
    for (std::size_t i = 0; i < along_.size(); ++i) along_[i] = at_.square / before * along_[i] - at_.gradient[i];
  }

  bool judged_to_stop() {
    verdict_ = problem_.after_round(options_.first_round + result_.rounds, at_.w, at_.value, at_.gradient);
    return verdict_.stop;
  }

  SolverResult finish(StopReason reason, std::string detail) {
    result_.w = std::move(at_.w);
    result_.reason = reason;
    result_.detail = std::move(detail);
    return std::move(result_);
  }

  Problem& problem_;
  const CgOptions& options_;
  Point at_;
  std::vector<double> along_, product_;
  Problem::Verdict verdict_;
  SolverResult result_;
};

}  // namespace

SolverResult minimise_cg(Problem& problem, std::vector<double> start, const CgOptions& options) {
  return ConjugateGradients(problem, std::move(start), options).run();
}

}  // namespace muster
