// An objective of one's own: a network of two layers on 1,797 handwritten digits, trained by Muster in any of its
// modes.
//     own_objective digits.csv mapreduce|parameter-server|decentralized [WORKERS]
// For an image x of 64 pixels: h = tanh(A [x, 1]), p = softmax(B [h, 1]), loss = -log p_digit.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>

#include "muster/train_objective.h"

constexpr std::size_t kInputs = 65, kHidden = 16, kDigits = 10;  // inputs: the pixels and a 1
constexpr std::size_t kParameters = kHidden * kInputs + kDigits * (kHidden + 1);
struct Image {
  std::array<double, kInputs> x;
  std::size_t digit;
};

std::vector<Image> read(const std::string& path) {
  std::ifstream file(path);
  std::vector<Image> images;
  std::string names, cell;
  for (std::getline(file, names); file.peek() != EOF; images.back().x[kInputs - 1] = 1) {
    Image& image = images.emplace_back();
    for (std::size_t j = 0; j + 1 < kInputs && std::getline(file, cell, ','); ++j) image.x[j] = std::stod(cell) / 16;
    if (std::getline(file, cell)) image.digit = std::stoul(cell);
  }
  return images;
}

struct TwoLayers final : muster::Objective {
  explicit TwoLayers(std::vector<Image> rows) : images(std::move(rows)) {}
  std::size_t dimension() const override { return kParameters; }
  std::size_t rows() const override { return images.size(); }
  double weight() const override { return static_cast<double>(images.size()); }
  std::size_t tallies() const override { return 1; }  // images taken for another digit

  muster::Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                                  std::span<double> wrong) override {
    std::fill(gradient.begin(), gradient.end(), value = wrong[0] = 0);
    const double *a = w.data(), *b = a + kHidden * kInputs;
    double *by_a = gradient.data(), *by_b = by_a + kHidden * kInputs;
    for (const Image& image : images) {
      std::array<double, kHidden + 1> h{}, by_h{};
      std::array<double, kDigits> p{};
      for (std::size_t i = 0; i < kHidden; ++i)
        h[i] = std::tanh(std::inner_product(image.x.begin(), image.x.end(), a + i * kInputs, 0.0));
      h[kHidden] = 1;
      for (std::size_t k = 0; k < kDigits; ++k)
        p[k] = std::inner_product(h.begin(), h.end(), b + k * (kHidden + 1), 0.0);
      const auto best = std::max_element(p.begin(), p.end());
      wrong[0] += best != p.begin() + static_cast<std::ptrdiff_t>(image.digit);
      double total = 0;
      for (const double largest = *best; double& score : p) total += score = std::exp(score - largest);
      value -= std::log(p[image.digit] / total);
      for (std::size_t k = 0; k < kDigits; ++k)
        for (std::size_t i = 0; i <= kHidden; ++i) {
          by_b[k * (kHidden + 1) + i] += (p[k] / total - (k == image.digit)) * h[i];
          by_h[i] += (p[k] / total - (k == image.digit)) * b[k * (kHidden + 1) + i];
        }
      for (std::size_t i = 0; i < kHidden; ++i)
        for (std::size_t j = 0; j < kInputs; ++j) by_a[i * kInputs + j] += by_h[i] * (1 - h[i] * h[i]) * image.x[j];
    }
    return {.bytes = 8.0 * kInputs * weight(), .flops = 4.0 * kParameters * weight()};
  }

  std::vector<Image> images;
};

int main(int argc, char** argv) try {
  const std::string mode = argc > 2 ? argv[2] : throw muster::InputError("usage: own_objective FILE MODE [WORKERS]");
  const std::vector<Image> images = read(argv[1]);
  muster::ObjectiveOptions options;
  if (mode == "parameter-server") options.run.mode = muster::Mode::parameter_server;
  if (mode == "decentralized") options.run.mode = muster::Mode::decentralized;
  options.run.workers = argc > 3 ? std::stoi(argv[3]) : 0;
  options.stop.tolerance = 1e-2;
  options.l2.assign(kParameters, 1e-3);
  std::vector<double> start(kParameters);
  std::generate(start.begin(), start.end(), [random = std::mt19937(1)]() mutable { return random() * 5e-11 - 0.1; });
  const auto share = [&](int worker, int workers) {  // every workers-th image
    std::vector<Image> mine;
    for (auto i = static_cast<std::size_t>(worker); i < images.size(); i += static_cast<std::size_t>(workers))
      mine.push_back(images[i]);
    return std::make_unique<TwoLayers>(std::move(mine));
  };
  const auto [w, report, speaks, other_parts] = muster::train_objective(share, start, options);
  double value = 0, wrong = 0;
  TwoLayers(images).value_and_gradient(w, value, start, {&wrong, 1});
  if (speaks)
    std::cout << report.solver << ": " << muster::name(report.stop_reason) << ", objective "
              << report.certificate.objective << ", " << wrong << " of " << images.size() << " images wrong\n";
} catch (const muster::Error& error) {
  std::cerr << "own_objective: " << error.what() << "\n";
  return static_cast<int>(error.exit_code());
}
