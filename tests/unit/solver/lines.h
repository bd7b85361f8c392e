// Problems that are known on lines, and one of a single line, for the tests of line searches and of who takes them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "quadratic.h"

namespace muster {

// Tells φ on a line that was begun, without counting it as an evaluation.
class KnownOnLines : public Quadratic {
 public:
  using Quadratic::Quadratic;
  OnLine on_line(double t) override {
    std::vector<double> w(a_), gradient(a_);
    for (std::size_t j = 0; j < w.size(); ++j) w[j] += t * (b_[j] - a_[j]);
    OnLine at{Quadratic::value_and_gradient(w, gradient), 0};
    for (std::size_t j = 0; j < w.size(); ++j) at.slope += gradient[j] * (b_[j] - a_[j]);
    if (std::isinf(at.value)) at.value -= at.value;  // not a number, as sums of what is not finite may be
    --evaluations;
    return at;
  }

 protected:
  void set_line(std::span<const double> a, std::span<const double> b) {
    a_.assign(a.begin(), a.end());
    b_.assign(b.begin(), b.end());
  }
  std::vector<double> a_, b_;
};

// Before anything on the line is evaluated.
class SeenAlong : public KnownOnLines {
 public:
  using KnownOnLines::KnownOnLines;
  bool looks_along() const override { return true; }
  void look_along(std::span<const double> a, std::span<const double> b) override { set_line(a, b); }
  double value_and_gradient_on_line(double t, std::span<const double> w, std::span<double> gradient) override {
    for (std::size_t j = 0; j < w.size(); ++j) EXPECT_NEAR(w[j], a_[j] + t * (b_[j] - a_[j]), 1e-12);
    ++lines_ended;
    return value_and_gradient(w, gradient);
  }
  void curvature_product(std::span<const double>, std::span<double>) override { FAIL() << "a pass for nothing"; }

  std::int64_t lines_ended = 0;
};

// Once both ends are evaluated.
class KnownBetween : public KnownOnLines {
 public:
  using KnownOnLines::KnownOnLines;
  bool begin_line(std::span<const double> a, std::span<const double> b) override {
    set_line(a, b);
    return true;
  }
  const std::vector<double>& begins() const { return a_; }
  const std::vector<double>& other_end() const { return b_; }
};

// The problem of a single line: φ and its slope, from 0.
class SingleLine : public Quadratic {
 public:
  SingleLine(std::function<double(double)> value, std::function<double(double)> slope)
      : Quadratic({1}, {0}), value_(std::move(value)), slope_(std::move(slope)) {}
  double value_and_gradient(std::span<const double> w, std::span<double> gradient) override {
    gradient[0] = slope_(w[0]);
    return value_(w[0]);
  }

 private:
  std::function<double(double)> value_, slope_;
};

}  // namespace muster
