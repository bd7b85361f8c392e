// An objective that a program brings, as one rank holds it: its own share, and those it has taken over from lost
// workers. No share: a rank without rows, such as a server.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "muster/objective.h"

namespace muster {

class ObjectiveShares final : public RowObjective {
 public:
  // start: where curvature is measured of shares that do not bound it. tallies() is 0 until share_tallies().
  explicit ObjectiveShares(std::vector<double> start) : start_(std::move(start)) {}

  // Throws InputError for a share of another dimension.
  void add(std::unique_ptr<Objective> share);
  // So many tallies on every rank: a rank without a share can not know.
  void set_tallies(std::size_t tallies) { tallies_ = tallies; }
  bool takes_rows() const;  // as far as the shares here are concerned

  std::size_t dimension() const override { return start_.size(); }
  std::size_t rows() const override;
  double weight() const override;
  std::size_t tallies() const override { return tallies_; }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override;
  bool bounds_curvature() const override;
  // Where a share does not bound its curvature: a multiple of its Hessian at the start, by differences of gradients.
  Work curvature_product(std::span<const double> v, std::span<double> product) override;
  bool has_hessian() const override { return true; }
  // By differences of gradients for a share that has no Hessian.
  Work hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override;

  // Of shares that are RowObjectives. Batches are numbered share after share.
  std::size_t deal(std::size_t rows, std::uint64_t seed) override;
  std::span<const std::uint32_t> keys(std::size_t batch) override;
  double batch_weight(std::size_t batch) override;
  Work batch_gradient(std::size_t batch, std::span<const double> w, double& value, std::span<double> gradient) override;
  double largest_row_curvature() override;

 private:
  struct Share {
    std::unique_ptr<Objective> objective;
    RowObjective* rows = nullptr;  // the same; null: it is none
    std::size_t batches = 0;
  };
  // The share that has the batch, whose number becomes that within the share.
  RowObjective& share_of(std::size_t& batch);
  static Work difference_gradients(Objective& objective, std::span<const double> w, std::span<const double> v,
                                   std::span<double> product);

  std::vector<double> start_;
  std::size_t tallies_ = 0;
  std::vector<Share> shares_;
  std::vector<double> scratch_, scratch_tallies_;
};

}  // namespace muster
