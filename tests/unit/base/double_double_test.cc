// Against __float128, whose 113 bits hold sums and products of doubles exactly and exceed the 107 of a double-double.
#include "base/double_double.h"

#include <gtest/gtest.h>

#include <random>

namespace muster {
namespace {

using Quad = __float128;

constexpr double kUnit = 0x1p-53;
constexpr double kUnitSquared = kUnit * kUnit;
constexpr double kQuadRounding = 0x1p-112;

Quad exact(DoubleDouble x) {
  return static_cast<Quad>(x.high) + x.low;
}

double relative_error(Quad got, Quad truth) {
  const Quad difference = got - truth;
  return std::fabs(static_cast<double>(difference / truth));
}

class Random {
 public:
  double number() { return std::ldexp(uniform_(engine_), static_cast<int>(engine_() % 80) - 40) * sign(); }
  DoubleDouble pair() {
    const double high = number();
    return quick_two_sum(high, high * uniform_(engine_) * kUnit * 0.99 * sign());
  }
  double sign() { return engine_() % 2 ? 1 : -1; }

 private:
  std::mt19937_64 engine_{42};
  std::uniform_real_distribution<double> uniform_{1, 2};
};

bool normalised(DoubleDouble x) {
  return x.high + x.low == x.high;
}

TEST(DoubleDouble, TransformationsAreExact) {
  Random random;
  for (int i = 0; i < 100000; ++i) {
    const double a = random.number(), b = random.number();
    const double large = std::fabs(a) >= std::fabs(b) ? a : b, small = std::fabs(a) >= std::fabs(b) ? b : a;
    const DoubleDouble sum = two_sum(a, b);
    EXPECT_EQ(sum.high, a + b);
    EXPECT_TRUE((static_cast<Quad>(large) - sum.high) + small == sum.low);
    const DoubleDouble product = two_product(a, b);
    EXPECT_TRUE(exact(product) == static_cast<Quad>(a) * b);
    EXPECT_EQ(quick_two_sum(large, small), sum);
  }
}

TEST(DoubleDouble, OperationsKeepTheirBounds) {
  Random random;
  for (int i = 0; i < 200000; ++i) {
    const DoubleDouble x = random.pair(), y = random.pair();
    const double z = random.number();
    const Quad sum = exact(x) + exact(y);
    EXPECT_LE(relative_error(exact(x + y), sum), 3 * kUnitSquared * (1 + 1e-3) + kQuadRounding);
    EXPECT_LE(relative_error(exact(x * y), exact(x) * exact(y)), 5 * kUnitSquared + kQuadRounding);
    EXPECT_LE(relative_error(exact(x * z), exact(x) * z), 2 * kUnitSquared + kQuadRounding);
    EXPECT_LE(relative_error(exact(x / y), exact(x) / exact(y)), 9.8 * kUnitSquared + kQuadRounding);
    EXPECT_TRUE(normalised(x + y) && normalised(x * y) && normalised(x * z) && normalised(x / y));
  }
}

// Sums that cancel are where a sloppy addition fails.
TEST(DoubleDouble, CancellationKeepsTheBound) {
  Random random;
  for (int i = 0; i < 200000; ++i) {
    const DoubleDouble x = random.pair();
    const DoubleDouble y = -(x * (1 + random.sign() * std::ldexp(1.0, -(i % 50) - 1)));
    // A pair can span more bits than a quad; its high parts cancel without rounding.
    const Quad sum = (static_cast<Quad>(x.high) + y.high) + (static_cast<Quad>(x.low) + y.low);
    if (sum == 0) continue;
    EXPECT_LE(relative_error(exact(x + y), sum), 3 * kUnitSquared * (1 + 1e-3) + kQuadRounding);
  }
}

TEST(DoubleDouble, RootsSquareBack) {
  Random random;
  for (int i = 0; i < 100000; ++i) {
    const DoubleDouble x = abs(random.pair());
    const Quad root = exact(sqrt(x));
    // (√x(1 + e))² = x(1 + 2e).
    EXPECT_LE(relative_error(root * root, exact(x)), 2 * 8 * kUnitSquared);
  }
  EXPECT_EQ(sqrt(DoubleDouble(0.0)), DoubleDouble(0.0));
  EXPECT_EQ(sqrt(DoubleDouble(4.0)), DoubleDouble(2.0));
}

TEST(DoubleDouble, PowersAreProducts) {
  const DoubleDouble x(-8.781464495);
  Quad truth = 1;
  for (int n = 0; n <= 12; ++n) {
    EXPECT_LE(relative_error(exact(power(x, n)), truth), 5 * 12 * kUnitSquared);
    truth *= exact(x);
  }
}

TEST(DoubleDouble, ComparesByValue) {
  const DoubleDouble one(1.0), more(1.0, 1e-20), less(1.0, -1e-20);
  EXPECT_TRUE(less < one && one < more && more > less && one <= one && one >= one && more >= one && less <= one);
  EXPECT_FALSE(one < one || more < one || one > more);
  EXPECT_EQ(abs(DoubleDouble(-1.0, 1e-20)), DoubleDouble(1.0, -1e-20));
  EXPECT_EQ(static_cast<double>(DoubleDouble(1.0, 1e-20)), 1.0);
}

}  // namespace
}  // namespace muster
