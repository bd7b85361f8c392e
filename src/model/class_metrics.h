// Softmax models applied to rows: probabilities, and how well they match known classes. Conventions as model/metrics.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/double_double.h"
#include "muster/model.h"

namespace muster {

// Probabilities e^z_k / Σ e^z, without overflow.
void class_probabilities(std::span<const double> margins, std::span<double> probabilities);

// The class of the largest margin; of equal ones, the first.
std::size_t predicted_class(std::span<const double> margins);

// −log of the probability of class y; a loss near 0 keeps its digits.
double softmax_loss(std::size_t y, std::span<const double> margins);

// Log-loss and accuracy weighted by the rows' weights; the confusion table counts rows.
class SoftmaxMetrics {
 public:
  explicit SoftmaxMetrics(std::vector<std::string> classes);
  // margins: of one row, by class.
  void add(std::size_t y, std::span<const double> margins, double weight);
  Metrics result() &&;

 private:
  Metrics metrics_;  // rows and the confusion table
  double weight_ = 0;
  DoubleDouble loss_, correct_;
};

}  // namespace muster
