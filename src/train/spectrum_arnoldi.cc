#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>

#include "base/random.h"
#include "train/spectrum.h"

namespace muster {
namespace {

using Complex = std::complex<double>;

constexpr double kDigits = 1e-7;
constexpr double kMostWork = 2e10;

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// An upper Hessenberg matrix.
class Hessenberg {
 public:
  explicit Hessenberg(std::size_t n) : n_(n), entries_(n * n) {}
  Complex& operator()(std::size_t row, std::size_t column) { return entries_[row * n_ + column]; }
  std::size_t size() const { return n_; }

 private:
  std::size_t n_;
  std::vector<Complex> entries_;
};

// Of the trailing 2×2 block, the eigenvalue nearer to its last entry (J. H. Wilkinson).
Complex wilkinson_shift(Hessenberg& h, std::size_t last) {
  const Complex a = h(last - 1, last - 1), b = h(last - 1, last), c = h(last, last - 1), d = h(last, last);
  const Complex half = 0.5 * (a - d), root = std::sqrt(half * half + b * c);
  const Complex plus = d - b * c / (half + root), minus = d - b * c / (half - root);
  const bool take_plus = std::abs(half + root) >= std::abs(half - root);
  const Complex shift = take_plus ? plus : minus;
  return std::isfinite(shift.real()) && std::isfinite(shift.imag()) ? shift : d;
}

// One QR step with a shift on rows and columns first..last, by Givens rotations.
void qr_step(Hessenberg& h, std::size_t first, std::size_t last, Complex shift) {
  std::vector<std::pair<double, Complex>> rotations;
  for (std::size_t k = first; k <= last; ++k) h(k, k) -= shift;
  for (std::size_t k = first; k < last; ++k) {
    const double length = std::hypot(std::abs(h(k, k)), std::abs(h(k + 1, k)));
    const double size = std::abs(h(k, k));
    const Complex phase = size == 0 ? Complex(1) : h(k, k) / size;
    const double c = length == 0 ? 1 : size / length;
    const Complex s = length == 0 ? Complex(0) : phase * std::conj(h(k + 1, k)) / length;
    for (std::size_t j = k; j <= last; ++j) {
      const Complex upper = h(k, j), lower = h(k + 1, j);
      h(k, j) = c * upper + s * lower;
      h(k + 1, j) = c * lower - std::conj(s) * upper;
    }
    rotations.emplace_back(c, s);
  }
  for (std::size_t k = first; k < last; ++k) {
    const auto& [c, s] = rotations[k - first];
    for (std::size_t i = first; i <= std::min(k + 1, last); ++i) {
      const Complex left = h(i, k), right = h(i, k + 1);
      h(i, k) = c * left + std::conj(s) * right;
      h(i, k + 1) = c * right - s * left;
    }
  }
  for (std::size_t k = first; k <= last; ++k) h(k, k) += shift;
}

// By the shifted QR iteration with deflation.
std::vector<Complex> eigenvalues(Hessenberg h) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  std::vector<Complex> found;
  std::size_t last = h.size() - 1;
  for (int steps = 0;;) {
    std::size_t first = last;
    for (; first > 0; --first) {
      const double scale = std::abs(h(first, first)) + std::abs(h(first - 1, first - 1));
      if (std::abs(h(first, first - 1)) <= kEpsilon * scale || std::abs(h(first, first - 1)) < 1e-300) break;
    }
    if (first == last || steps > 300) {
      found.push_back(h(last, last));
      if (last == 0) return found;
      --last, steps = 0;
      continue;
    }
    const bool stuck = ++steps % 11 == 0;
    qr_step(h, first, last, stuck ? h(last, last) + std::abs(h(last, last - 1)) : wilkinson_shift(h, last));
  }
}

// Eigenvector of θ, by two steps of inverse iteration with row exchanges.
std::vector<Complex> eigenvector(const Hessenberg& matrix, Complex theta) {
  const std::size_t n = matrix.size();
  std::vector<Complex> y(n, Complex(1));
  for (int step = 0; step < 2; ++step) {
    Hessenberg h = matrix;
    for (std::size_t k = 0; k < n; ++k) h(k, k) -= theta;
    for (std::size_t k = 0; k < n; ++k) {
      if (k + 1 < n && std::abs(h(k + 1, k)) > std::abs(h(k, k))) {
        for (std::size_t j = k; j < n; ++j) std::swap(h(k, j), h(k + 1, j));
        std::swap(y[k], y[k + 1]);
      }
      if (std::abs(h(k, k)) < 1e-18) h(k, k) = 1e-18;
      if (k + 1 == n) break;
      const Complex factor = h(k + 1, k) / h(k, k);
      for (std::size_t j = k; j < n; ++j) h(k + 1, j) -= factor * h(k, j);
      y[k + 1] -= factor * y[k];
    }
    double square = 0;
    for (std::size_t k = n; k-- > 0;) {
      for (std::size_t j = k + 1; j < n; ++j) y[k] -= h(k, j) * y[j];
      y[k] /= h(k, k);
      square += std::norm(y[k]);
    }
    for (Complex& value : y) value /= std::sqrt(square);
  }
  return y;
}

// One Arnoldi factorisation B V = V H + h v eᵀ, orthogonalised twice.
class Arnoldi {
 public:
  Arnoldi(const Product& product, int power, double scale) : product_(product), power_(power), scale_(scale) {}

  // Until `most` steps, or the dominant eigenvalue's residual is small enough, or the space is exhausted.
  Dominant run(std::vector<double> start, std::size_t most) {
    normalise(start);
    basis_.push_back(std::move(start));
    for (std::size_t look = 8;;) {
      const double remainder = step();
      const std::size_t m = columns_.size();
      const bool exhausted = remainder <= 1e-14 * norm_ || m == basis_.front().size();
      if (m < look && m < most && !exhausted) continue;
      look = m + m / 2;
      const Dominant dominant = judge(exhausted ? 0 : remainder);
      if (dominant.converged || exhausted || m >= most) return dominant;
    }
  }

  // The dominant Ritz vector, its real part: where the next factorisation starts.
  std::vector<double> restart() const {
    std::vector<double> x(basis_.front().size(), 0.0);
    for (std::size_t j = 0; j < ritz_.size(); ++j)
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += (ritz_[j].real() + ritz_[j].imag()) * basis_[j][i];
    return x;
  }

 private:
  static double normalise(std::vector<double>& x) {
    const double length = std::sqrt(dot(x, x));
    for (double& value : x) value /= length;
    return length;
  }

  // B = (operator · e^scale)^power
  double step() {
    std::vector<double> x = basis_.back(), y(x.size());
    for (int i = 0; i < power_; ++i) {
      product_(x, y);
      for (double& value : y) value *= scale_;
      std::swap(x, y);
    }
    norm_ = std::max(norm_, std::sqrt(dot(x, x)));
    std::vector<double> column(basis_.size(), 0.0);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t j = 0; j < basis_.size(); ++j) {
        const double along = dot(basis_[j], x);
        column[j] += along;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] -= along * basis_[j][i];
      }
    }
    const double remainder = std::sqrt(dot(x, x));
    columns_.push_back(std::move(column));
    remainders_.push_back(remainder);
    if (remainder > 0)
      for (double& value : x) value /= remainder;
    basis_.push_back(std::move(x));
    return remainder;
  }

  Dominant judge(double remainder) {
    Hessenberg h(columns_.size());
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      for (std::size_t i = 0; i <= j; ++i) h(i, j) = columns_[j][i];
      if (j + 1 < columns_.size()) h(j + 1, j) = remainders_[j];
    }
    const std::vector<Complex> values = eigenvalues(h);
    const Complex theta = *std::max_element(
        values.begin(), values.end(), [](const Complex& a, const Complex& b) { return std::norm(a) < std::norm(b); });
    ritz_ = eigenvector(h, theta);
    Dominant dominant;
    const double modulus = std::abs(theta), error = remainder * std::abs(ritz_.back());
    dominant.log_modulus = std::log(modulus) / power_ - std::log(scale_);
    const double gap = std::max(-std::expm1(dominant.log_modulus), 1e-300);
    dominant.converged = error / std::max(modulus, 1e-300) / power_ <= kDigits * std::min(gap, 1.0);
    return dominant;
  }

  const Product& product_;
  int power_;
  double scale_;
  double norm_ = 0;
  std::vector<std::vector<double>> basis_, columns_;
  std::vector<double> remainders_;
  std::vector<Complex> ritz_;
};

}  // namespace

Dominant dominant_eigenvalue(std::size_t dimension, const Product& product, double work) {
  constexpr std::size_t kColumns = 160;
  const RandomStream random(0, 0, RandomPurpose::start_vector);
  std::vector<double> start(dimension);
  for (std::size_t i = 0; i < dimension; ++i) start[i] = random.uniform(i) - 0.5;
  double scale = 1, spent = 0;
  for (int power = 1;; power *= 4) {
    Arnoldi arnoldi(product, power, scale);
    const Dominant dominant = arnoldi.run(start, kColumns);
    spent += static_cast<double>(kColumns) * (power * work + 4.0 * kColumns * static_cast<double>(dimension));
    if (dominant.converged || spent * 4 > kMostWork) return dominant;
    scale = std::exp(-dominant.log_modulus);  // so that a high power neither vanishes nor overflows
    start = arnoldi.restart();
  }
}

}  // namespace muster
