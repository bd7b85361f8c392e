// The objective of a row block as the owner of one of its column blocks sees it.
//
//     f(w) = Σ_i s_i φ_i(m_i),   m = Σ_c A_c w_c   over column blocks c,     ∂f/∂w_c = A_cᵀ (s_i φ_i'(m_i))_i
//
// Parts of the margins are local, their sum goes over the ranks with the same rows, and the gradient by the coordinates
// held here is local again. The value, and what is a sum over rows, every rank of the row block has. The whole margins
// at the last two points are kept: a line between them costs one number to agree on, and no margins.
//
// Source: D. P. Bertsekas, J. N. Tsitsiklis, "Parallel and Distributed Computation", 1989, 1.2.1 (the matrix-vector
// product by columns); S. Boyd et al., "Distributed Optimization and Statistical Learning via the ADMM", 2011, 8.3
// (splitting across features).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "muster/objective.h"
#include "muster/options.h"
#include "objective/kept_margins.h"
#include "train/grid.h"

namespace muster {

// Collective: its calls go over grid.over_columns, all of whose ranks make them. Throws what the endpoint throws.
class ColumnBlockObjective final : public Objective {
 public:
  // objective and parts: the same object, of the columns held here; outlives this.
  ColumnBlockObjective(Objective& objective, MarginFunction& parts, Grid grid, ReducePattern pattern);

  std::size_t dimension() const override { return objective_.dimension(); }
  std::size_t rows() const override { return objective_.rows(); }
  double weight() const override { return objective_.weight(); }
  std::size_t tallies() const override { return objective_.tallies(); }
  Work value_and_gradient(std::span<const double> w, double& value, std::span<double> gradient,
                          std::span<double> tallies) override;
  bool bounds_curvature() const override { return objective_.bounds_curvature(); }
  Work curvature_product(std::span<const double> v, std::span<double> product) override;
  bool has_hessian() const override { return objective_.has_hessian(); }
  Work hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) override;
  std::optional<Work> begin_line(std::span<const double> a, std::span<const double> b) override;
  Work value_on_line(double t, double& value, double& slope) override;
  bool looks_along() const override { return objective_.looks_along(); }
  Work look_along(std::span<const double> a, std::span<const double> b) override;
  Work value_and_gradient_on_line(double t, std::span<const double> w, double& value, std::span<double> gradient,
                                  std::span<double> tallies) override;

 private:
  // Writes the margins of v by all columns.
  void whole_margins(std::span<const double> v, std::span<double> margins);
  // Where each point's margins are kept, by agreement: a rank sees only its part of a point. Nothing: not of all.
  template <std::size_t kCount>
  std::optional<std::array<std::size_t, kCount>> agree_on_places(
      const std::array<std::span<const double>, kCount>& points);

  Objective& objective_;
  MarginFunction& parts_;
  Grid grid_;
  ReducePattern pattern_;
  KeptMargins kept_;
  std::array<std::size_t, 2> line_{};  // where the margins of its ends are
  std::vector<double> of_v_;
};

}  // namespace muster
