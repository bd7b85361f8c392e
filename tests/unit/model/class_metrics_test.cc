#include "model/class_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace muster {
namespace {

TEST(ClassMetrics, LossAndProbabilitiesNeitherOverflowNorCancel) {
  for (const double distance : {0.0, 1e-12, 1.0, 40.0, 300.0, 700.0, 2000.0}) {
    const std::vector<double> z{1e4 + distance, 1e4, 1e4};
    std::vector<double> p(3);
    class_probabilities(z, p);
    const long double e = std::exp(-static_cast<long double>(z[0] - 1e4));
    EXPECT_NEAR(p[0], static_cast<double>(1 / (1 + 2 * e)), 1e-15);
    EXPECT_NEAR(p[1], static_cast<double>(e / (1 + 2 * e)), 1e-15 * static_cast<double>(e));
    const double right = static_cast<double>(std::log1p(2 * e)),
                 wrong = static_cast<double>(z[0] - 1e4 + std::log1p(2 * e));
    EXPECT_NEAR(softmax_loss(0, z), right, 4e-16 * right);
    EXPECT_NEAR(softmax_loss(2, z), wrong, 4e-16 * wrong);
    EXPECT_EQ(predicted_class(z), 0u);
  }
}

// Four rows of weights 1, 2, 1, 0 with probabilities (½, ¼, ¼): the first is predicted of all.
TEST(ClassMetrics, ByHand) {
  SoftmaxMetrics metrics({"a", "b", "c"});
  const std::vector<double> z{std::log(2.0), 0, 0};
  metrics.add(0, z, 1);
  metrics.add(1, z, 2);
  metrics.add(2, z, 1);
  metrics.add(2, z, 0);
  const Metrics result = std::move(metrics).result();
  EXPECT_EQ(result.rows, 4);
  EXPECT_NEAR(result.log_loss, (std::log(2.0) + 3 * std::log(4.0)) / 4, 1e-15);
  EXPECT_EQ(result.accuracy, 0.25);
  EXPECT_EQ(result.classes, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(result.confusion, (std::vector<std::vector<std::int64_t>>{{1, 0, 0}, {1, 0, 0}, {2, 0, 0}}));
  EXPECT_TRUE(std::isnan(SoftmaxMetrics({"a", "b"}).result().log_loss));
}

}  // namespace
}  // namespace muster
