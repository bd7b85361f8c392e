// LinearObjective as a function of margins: the fused pass of linear_objective.cc in its two halves, each of which
// reads the rows once, and what needs margins alone.
//
//     m_ik = Σ_j u_jk (x_ij − c_j) + b_k        ∂f/∂u_jk = Σ_i s_i ∂loss/∂m_k (m_i + o_i) (x_ij − c_j)
#include <algorithm>

#include "base/check.h"
#include "objective/linear_rows.h"

namespace muster {
namespace {

// So many rows of margins are worked on at a time: they stay in cache.
constexpr std::size_t kRowsAtATime = 512;

// Halves are of rows in memory, whose margins have a place.
const Shard& held_rows(RowSource& source) {
  const Shard* shard = source.held();
  MUSTER_CHECK(shard != nullptr, "margins are of rows in memory");
  return *shard;
}

RowData from_row(const RowData& data, std::size_t row) {
  return {data.targets ? data.targets + row : nullptr, data.weights ? data.weights + row : nullptr,
          data.offsets ? data.offsets + row : nullptr};
}

// Scratch of one block: margins a stride apart.
struct SpreadMargins {
  const RowLoss& loss;
  AlignedVector<double> values;

  explicit SpreadMargins(const RowLoss& of) : loss(of), values(kRowsAtATime * of.stride(), 0.0) {}

  // Writes margin(row, output) of `count` rows.
  template <class Margin>
  double* fill(std::size_t count, const Margin& margin) {
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t k = 0; k < loss.outputs(); ++k) values[i * loss.stride() + k] = margin(i, k);
    return values.data();
  }
};

// Adds [φ(t), φ'(t)] of `count` rows with margins at both ends, to which data.offsets are added.
void add_on_line(const RowLoss& loss, const double* from, const double* to, double t, std::size_t count, RowData data,
                 double* value_and_slope) {
  const std::size_t outputs = loss.outputs();
  SpreadMargins spread(loss);
  std::vector<double> sums(loss.gradient(), 0.0);
  for (std::size_t begin = 0; begin < count; begin += kRowsAtATime) {
    const std::size_t rows = std::min(kRowsAtATime, count - begin);
    const RowData of_rows = from_row(data, begin);
    const double *a = from + begin * outputs, *b = to + begin * outputs;
    double* residuals = spread.fill(rows, [&](std::size_t i, std::size_t k) {
      const double at_a = a[i * outputs + k];
      return at_a + t * (b[i * outputs + k] - at_a) + offset_of(of_rows, i);
    });
    loss.residuals(MarginUse::line, residuals, nullptr, rows, of_rows, sums.data());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t k = 0; k < outputs; ++k)
        value_and_slope[1] += residuals[i * loss.stride() + k] * (b[i * outputs + k] - a[i * outputs + k]);
  }
  value_and_slope[0] += sums[0];
}

}  // namespace

// The second half, of a block.
struct LinearObjective::MarginPass {
  const RowLoss& loss;
  std::span<const double> centre;
  MarginUse use;
  std::span<const double> margins;
  std::span<const double> at = {};  // hessian: margins where the loss is curved
  bool with_offsets = false;        // margins of a loss have the offsets already

  void operator()(const Shard& shard, RowRange range, double* room, double* sums) const {
    const std::size_t outputs = loss.outputs();
    // A loss has offsets, and so have the margins at which it is curved.
    const bool of_direction = use == MarginUse::bound || use == MarginUse::hessian;
    SpreadMargins spread(loss), curved(loss);
    for (std::size_t begin = range.begin; begin < range.end; begin += kRowsAtATime) {
      const RowRange rows{begin, std::min(range.end, begin + kRowsAtATime)};
      const RowData data = row_data(shard, begin);
      const double* m = margins.data() + begin * outputs;
      double* residuals = spread.fill(rows.size(), [&](std::size_t i, std::size_t k) {
        return m[i * outputs + k] + (of_direction || with_offsets ? 0 : offset_of(data, i));
      });
      double* where = nullptr;
      if (use == MarginUse::hessian) {
        const double* c = at.data() + begin * outputs;
        where = curved.fill(rows.size(),
                            [&](std::size_t i, std::size_t k) { return c[i * outputs + k] + offset_of(data, i); });
      }
      loss.residuals(use, residuals, where, rows.size(), data, sums);
      loss.add_gradient(shard, rows, residuals, centre.data(), room, sums);
    }
  }
};

void LinearObjective::write_margins(std::span<const double> v, bool with_offsets, std::span<double> out) {
  const Shard& shard = held_rows(rows_.pass_rows().source);
  ModelPoint point = point_at(v);
  const RowShape& shape = rows_.shape();
  const RowBlocks blocks{shape.rows, rows_per_block(shape)};
  std::vector<AlignedVector<double>> rooms(static_cast<std::size_t>(rows_.executor_.threads()), loss_.room(shape));
  rows_.executor_.run(blocks.count(), [&](std::size_t block, int thread) {
    const RowRange range = blocks.range(block);
    loss_.margins(shard, range, point, scaling_.centre.data(), with_offsets,
                  rooms[static_cast<std::size_t>(thread)].data(), out.data() + range.begin * outputs());
  });
  keep(std::move(point));
}

std::span<const double> LinearObjective::kept_margins(std::span<const double> w, Work& work) {
  if (!margins_) margins_.emplace();
  if (const auto place = margins_->find(w, margin_count())) return margins_->in(*place);
  const std::span<double> out = margins_->put(w, margin_count());
  write_margins(w, true, out);
  work += work_of(2);
  return out;
}

std::optional<Work> LinearObjective::begin_line(std::span<const double> a, std::span<const double> b) {
  if (!margins_) margins_.emplace();
  const auto at_a = margins_->find(a, margins_kept()), at_b = margins_->find(b, margins_kept());
  if (!at_a || !at_b) return std::nullopt;
  line_ = {*at_a, *at_b};
  return Work{};
}

Work LinearObjective::look_along(std::span<const double> a, std::span<const double> b) {
  if (!margins_) margins_.emplace();
  Work work = work_of(2);
  const std::optional<std::size_t> found = margins_->find(a, margin_count());
  const std::size_t place = found.value_or(margins_->older());
  if (!found || margins_->worn(place)) {
    write_margins(a, true, margins_->put_in(place, a, margin_count()));
    work += work_of(2);
  }
  line_ = {place, 1 - place};
  write_margins(b, true, margins_->put_unnamed(1 - place, margin_count()));
  return work;
}

Work LinearObjective::value_and_gradient_on_line(double t, std::span<const double> w, double& value,
                                                 std::span<double> gradient, std::span<double> tallies_out) {
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  MarginPass pass{loss_, scaling_.centre, MarginUse::loss, margins_->move_along(line_[0], line_[1], t, w)};
  pass.with_offsets = true;
  take_sums(sum_blocks(pass), value, gradient, tallies_out);
  return work_of(3);
}

Work LinearObjective::value_on_line(double t, double& value, double& slope) {
  std::optional<ModelPoint> point_a, point_b;  // of rows whose margins are found again
  if (margins_kept() == 0) {
    point_a = point_at(margins_->point_in(line_[0]));
    point_b = point_at(margins_->point_in(line_[1]));
  }
  std::vector<AlignedVector<double>> rooms(static_cast<std::size_t>(rows_.executor_.threads()),
                                           loss_.room(rows_.shape()));
  const Sums sums = sum_rows(
      rows_.source_, rows_.executor_, kLargestBlock, [] { return Sums(2); },
      [&](const Shard& window, RowRange range, int thread, Sums& sum) {
        AlignedVector<double> found_a, found_b;
        const auto margins_of = [&](std::size_t place, const std::optional<ModelPoint>& point,
                                    AlignedVector<double>& found) {
          if (margins_kept() > 0) return margins_->in(place).data() + range.begin * outputs();
          found.resize(range.size() * outputs());
          loss_.margins(window, range, *point, scaling_.centre.data(), true,
                        rooms[static_cast<std::size_t>(thread)].data(), found.data());
          return static_cast<const double*>(found.data());
        };
        RowData data = row_data(window, range.begin);
        data.offsets = nullptr;
        add_on_line(loss_, margins_of(line_[0], point_a, found_a), margins_of(line_[1], point_b, found_b), t,
                    range.size(), data, sum.values.data());
      });
  value = sums.values[0];
  slope = sums.values[1];
  return work_on_line();
}

Work LinearObjective::margins(std::span<const double> v, std::span<double> margins) {
  MUSTER_CHECK(margins.size() == margin_count(), "as many margins as rows have");
  write_margins(v, false, margins);
  return work_of(2);
}

Work LinearObjective::value_and_gradient_at(std::span<const double> margins, double& value, std::span<double> gradient,
                                            std::span<double> tallies_out) {
  MUSTER_CHECK(margins.size() == margin_count(), "as many margins as rows have");
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  const MarginPass pass{loss_, scaling_.centre, MarginUse::loss, margins};
  take_sums(sum_blocks(pass), value, gradient, tallies_out);
  return work_of(3);
}

Work LinearObjective::value_on_line_at(std::span<const double> a, std::span<const double> b, double t, double& value,
                                       double& slope) {
  MUSTER_CHECK(a.size() == margin_count() && b.size() == margin_count(), "as many margins as rows have");
  const Shard& shard = held_rows(rows_.source_);
  const Sums sums = sum_rows(
      rows_.source_, rows_.executor_, kLargestBlock, [] { return Sums(2); },
      [&](const Shard&, RowRange range, int, Sums& sum) {
        const std::size_t first = range.begin * outputs();
        RowData data = row_data(shard, range.begin);
        if (outputs() > 1) data.offsets = nullptr;
        add_on_line(loss_, a.data() + first, b.data() + first, t, range.size(), data, sum.values.data());
      });
  value = sums.values[0];
  slope = sums.values[1];
  return work_on_line();
}

Work LinearObjective::work_on_line() const {
  const auto count = static_cast<double>(margin_count());
  return {3 * sizeof(double) * count, 30 * count};
}

Work LinearObjective::curvature_product_at(std::span<const double> margins, std::span<double> product) {
  MUSTER_CHECK(margins.size() == margin_count(), "as many margins as rows have");
  const MarginPass pass{loss_, scaling_.centre, MarginUse::bound, margins};
  Sums sums = sum_blocks(pass);
  write_gradient(sums, loss_.bound_factor(), product);
  keep(std::move(sums));
  return work_of(3);
}

Work LinearObjective::hessian_product_at(std::span<const double> margins, std::span<const double> of_v,
                                         std::span<double> product) {
  if (loss() == Loss::squared) return curvature_product_at(of_v, product);
  MUSTER_CHECK(margins.size() == margin_count() && of_v.size() == margin_count(), "as many margins as rows have");
  const MarginPass pass{loss_, scaling_.centre, MarginUse::hessian, of_v, margins};
  Sums sums = sum_blocks(pass);
  write_gradient(sums, 1, product);
  keep(std::move(sums));
  return work_of(3);
}

}  // namespace muster
