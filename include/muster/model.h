// A fitted linear model: what `muster train` writes and `muster predict` reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "muster/options.h"
#include "muster/report.h"

namespace muster {

struct Encoding;  // src/data/encoding.h; opaque to callers

struct Coefficient {
  std::string feature;
  double value = 0;                 // user's units; softmax: 0
  std::vector<double> values = {};  // softmax: by class, in the order of Model::classes; they add up to 0 without --l1
};

struct Model {
  Loss loss = Loss::squared;
  bool has_intercept = true;
  double intercept = 0;              // softmax: 0
  std::vector<std::string> classes;  // softmax: their levels, in order; empty for other losses
  std::vector<double> intercepts;    // softmax: by class; they add up to 0
  // In input order. Of LIBSVM data of more than a million columns only those that are not 0.
  std::vector<Coefficient> coefficients;
  StopReason stop_reason = StopReason::converged;  // a model of a run that did not converge is marked so
  Certificate certificate;
  std::shared_ptr<const Encoding> encoding;  // how columns become features

  // Writes model.json to a temporary name, syncs, renames. Numbers are written so that reading gives back the same
  // bits. Throws InputError naming path and cause; nothing is left behind.
  void save(const std::string& path) const;
  // Throws InputError naming path, and line and column or key, when it is missing, damaged or of a later format.
  static Model load(const std::string& path);
};

// Quality of predictions on rows with known targets.
struct Metrics {
  std::int64_t rows = 0;
  // squared loss
  double rmse = 0, mae = 0, r2 = 0;
  // logistic loss and softmax
  double log_loss = 0, accuracy = 0;
  // logistic loss
  double auc = 0;
  std::int64_t true_positive = 0, false_positive = 0, true_negative = 0, false_negative = 0;
  // softmax: rows by their class and the one predicted for them, [class][predicted]
  std::vector<std::string> classes;
  std::vector<std::vector<std::int64_t>> confusion;
};

}  // namespace muster
