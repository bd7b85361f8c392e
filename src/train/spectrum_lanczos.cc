#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/random.h"
#include "train/spectrum.h"

namespace muster {
namespace {

constexpr double kDigits = 1e-7;    // relative error of the gap at which to stop
constexpr double kMostWork = 3e10;  // additions and multiplications, about: half a minute

// In lanes and blocks: a plain sum over 10,000 entries would err by more than the gap's seventh digit.
template <class Term>
double sum_of(std::size_t n, const Term& term) {
  constexpr std::size_t kLanes = 8, kBlock = 256;
  double total = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(n, begin + kBlock);
    double lanes[kLanes] = {};
    std::size_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
    double sum = 0;
    for (; i < end; ++i) sum += term(i);
    for (double lane : lanes) sum += lane;
    total += sum;
  }
  return total;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return sum_of(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}

void subtract_mean(std::vector<double>& x) {
  const double mean = sum_of(x.size(), [&](std::size_t i) { return x[i]; }) / static_cast<double>(x.size());
  for (double& value : x) value -= mean;
}

// T = tridiag(β, α, β)
struct Tridiagonal {
  std::vector<double> alpha, beta;

  std::size_t size() const { return alpha.size(); }

  // Number of eigenvalues below x, by Sturm's count.
  std::size_t below(double x) const {
    std::size_t count = 0;
    double pivot = 1;
    for (std::size_t i = 0; i < size(); ++i) {
      pivot = alpha[i] - x - (i ? beta[i - 1] * beta[i - 1] / pivot : 0);
      if (pivot == 0) pivot = 1e-300;
      count += pivot < 0;
    }
    return count;
  }

  // The eigenvalue that `rank` others are below, by bisection to the last bit.
  double eigenvalue(std::size_t rank, double low, double high) const {
    for (int step = 0; step < 200; ++step) {
      const double middle = 0.5 * (low + high);
      if (middle <= low || middle >= high) break;
      (below(middle) > rank ? high : low) = middle;
    }
    return 0.5 * (low + high);
  }

  // |s_k| / |s| for the eigenvector s of θ: two steps of inverse iteration, by elimination with row exchanges.
  double last_entry(double theta) const {
    std::vector<double> s(size(), 1.0);
    for (int step = 0; step < 3; ++step) {
      solve_shifted(theta, s);
      const double length = std::sqrt(dot(s, s));
      for (double& value : s) value /= length;
    }
    return std::abs(s.back());
  }

 private:
  void solve_shifted(double theta, std::vector<double>& s) const {
    constexpr double kTiny = 1e-18;
    const std::size_t n = size();
    std::vector<double> diagonal(n), above(n, 0.0), second(n, 0.0);  // of the eliminated matrix's rows
    double d = alpha[0] - theta, u = n > 1 ? beta[0] : 0, v = 0;     // the row under way
    for (std::size_t i = 0; i + 1 < n; ++i) {
      double low = beta[i], low_d = alpha[i + 1] - theta, low_u = i + 2 < n ? beta[i + 1] : 0, low_v = 0;
      if (std::abs(low) > std::abs(d)) {
        std::swap(d, low), std::swap(u, low_d), std::swap(v, low_u), std::swap(s[i], s[i + 1]);
      }
      if (d == 0) d = kTiny;
      const double factor = low / d;
      diagonal[i] = d, above[i] = u, second[i] = v;
      s[i + 1] -= factor * s[i];
      d = low_d - factor * u, u = low_u - factor * v, v = low_v;
    }
    diagonal[n - 1] = std::abs(d) < kTiny ? kTiny : d;
    for (std::size_t i = n; i-- > 0;) {
      if (i + 1 < n) s[i] -= above[i] * s[i + 1];
      if (i + 2 < n) s[i] -= second[i] * s[i + 2];
      s[i] /= diagonal[i];
    }
  }
};

// Where the two ends are as T has them, and whether that will do. remainder: the β that would come next.
Ends judge(const Tridiagonal& t, double top, double remainder) {
  Ends ends;
  const double low = -1e-3 * top, high = 1.001 * top;
  ends.least = t.eigenvalue(0, low, high);
  ends.largest = t.eigenvalue(t.size() - 1, low, high);
  const double gap = std::min(ends.least, top - ends.largest);
  const double error_low = remainder * t.last_entry(ends.least), error_high = remainder * t.last_entry(ends.largest);
  // An end that is not the nearer one need not have digits, only be known not to become the nearer.
  const auto settled = [&](double distance, double error) {
    return error <= kDigits * gap || (distance > gap && distance - error > gap);
  };
  ends.converged = settled(ends.least, error_low) && settled(top - ends.largest, error_high);
  return ends;
}

std::vector<double> random_start(std::size_t dimension) {
  const RandomStream random(0, 0, RandomPurpose::start_vector);
  std::vector<double> q(dimension);
  for (std::size_t i = 0; i < dimension; ++i) q[i] = random.uniform(i) - 0.5;
  subtract_mean(q);
  const double length = std::sqrt(dot(q, q));
  for (double& value : q) value /= length;
  return q;
}

}  // namespace

Ends extreme_eigenvalues(std::size_t dimension, const Product& product, double top, double work) {
  constexpr double kExhausted = 1e-13;
  std::vector<double> q = random_start(dimension), previous(dimension, 0.0), next(dimension);
  Tridiagonal t;
  const double step_work = work + 10.0 * static_cast<double>(dimension);
  for (std::size_t next_look = 2;;) {
    product(q, next);
    t.alpha.push_back(dot(q, next));
    const double before = t.beta.empty() ? 0 : t.beta.back();
    for (std::size_t i = 0; i < dimension; ++i) next[i] -= t.alpha.back() * q[i] + before * previous[i];
    subtract_mean(next);
    const double remainder = std::sqrt(dot(next, next));
    const bool exhausted = remainder <= kExhausted * top;  // the start lies in a space that the operator keeps
    const bool out_of_work = step_work * static_cast<double>(t.size()) > kMostWork;
    if (exhausted || out_of_work || t.size() >= next_look) {
      const Ends ends = judge(t, top, exhausted ? 0 : remainder);
      if (exhausted || out_of_work || ends.converged) return ends;
      next_look = t.size() + std::max<std::size_t>(1, t.size() / 4);
    }
    t.beta.push_back(remainder);
    std::swap(previous, q);
    for (std::size_t i = 0; i < dimension; ++i) q[i] = next[i] / remainder;
  }
}

}  // namespace muster
