// One pass over the rows for f's data part and its gradient, and one for a product with its Hessian or a bound on that.
//
//     m_ik = Σ_j u_jk (x_ij − c_j) + b_k + o_i,  u_jk = v_jk / scale_j
//     ∂f/∂v_jk = Σ_i s_i ∂loss/∂m_k (x_ij − c_j) / scale_j
//     ∇²f·v: the same with L''(m)·q for ∂loss/∂m, q being v's margins
//
// so that the rows are read as stored and the change of variables costs two operations a column.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/check.h"
#include "objective/linear_rows.h"

namespace muster {

std::vector<double> Scaling::unscale(std::span<const double> v) const {
  std::vector<double> u(scale.size());
  for (std::size_t j = 0; j < u.size(); ++j) u[j] = scale[j] == 0 ? 0.0 : v[j] / scale[j];
  return u;
}

namespace {

// Of accumulators and points: what is kept for the next pass, since giving memory back and clearing it again costs as
// much as many rows. Longer ones belong to models that are short of memory.
constexpr std::size_t kKeptValues = 8 * 1024 * 1024;

constexpr std::size_t kNowhere = ~std::size_t{0};

}  // namespace

// What becomes of a block.
struct LinearObjective::FusedPass {
  const RowLoss& loss;
  std::span<const double> centre;
  MarginUse use;
  const ModelPoint& point;
  std::span<double> margins = {};   // of rows in memory, written; empty: nowhere
  std::span<const double> at = {};  // hessian: margins of rows in memory where the loss is curved
  const ModelPoint* curved_at =
      nullptr;  // of rows that are read anew: the point of those margins, which are found again

  void operator()(const Shard& window, RowRange range, double* room, double* sums) const {
    const std::size_t first = range.begin * loss.outputs();
    RowLoss::Pass pass{use, point, centre.data()};
    if (!margins.empty()) pass.margins = margins.data() + first;
    if (!at.empty()) pass.at = at.data() + first;
    AlignedVector<double> found;
    if (curved_at) {
      found.resize(range.size() * loss.outputs());
      loss.margins(window, range, *curved_at, centre.data(), true, room, found.data());
      pass.at = found.data();
    }
    loss.pass(window, range, pass, room, sums);
  }
};

LinearObjective::LinearObjective(LinearRows& rows, Loss loss, Scaling scaling, bool intercept, std::size_t outputs)
    : rows_(rows),
      loss_(kernel_table(rows.instruction_set_), loss, outputs),
      scaling_(std::move(scaling)),
      inverse_scale_(scaling_.unscale(std::vector<double>(scaling_.scale.size(), 1.0))),
      shifted_(rows.shape().sparse &&
               std::any_of(scaling_.centre.begin(), scaling_.centre.end(), [](double c) { return c != 0; })),
      intercept_(intercept) {
  const std::size_t columns = rows.columns();
  MUSTER_CHECK(scaling_.centre.size() == columns && scaling_.scale.size() == columns, "a scaling of every column");
  MUSTER_CHECK(rows.shape().has_targets, "training needs targets");
}

Work LinearObjective::work_of(double flops_per_value) const {
  return work_of_reading(rows_.shape(), flops_per_value * static_cast<double>(outputs()));
}

// Calls visit(column, output, place by column, place by number), the latter stride() apart, or kNowhere.
template <class Visit>
void LinearObjective::each_coefficient(const Visit& visit) const {
  const LinearRows::PassRows pass_rows = rows_.pass_rows();
  const auto visit_all = [&](auto outputs, auto stride) {
    for (std::size_t j = 0; j < scaling_.scale.size(); ++j) {
      const std::size_t number = pass_rows.number_of(j);
      const bool known = number != RenumberedRows::kNone;
      for (std::size_t k = 0; k < outputs; ++k) visit(j, k, j * outputs + k, known ? number * stride + k : kNowhere);
    }
  };
  using One = std::integral_constant<std::size_t, 1>;  // so that the loop over outputs goes
  if (outputs() == 1) return visit_all(One(), One());
  visit_all(outputs(), loss_.stride());
}

ModelPoint LinearObjective::point_at(std::span<const double> v) {
  MUSTER_CHECK(v.size() == dimension(), "a vector of the objective's dimension");
  const std::size_t columns = rows_.columns(), outputs = loss_.outputs(), stride = loss_.stride();
  ModelPoint point{std::exchange(spare_u_, {}), AlignedVector<double>(stride, 0.0)};
  const std::size_t numbers = rows_.pass_rows().source.shape().cols;
  if (stride > outputs) point.u.assign(numbers * stride, 0.0);
  point.u.resize(numbers * stride);
  std::vector<DoubleDouble> shift(outputs);
  for (std::size_t k = 0; k < outputs && intercept_; ++k) shift[k] = v[columns * outputs + k];
  each_coefficient([&](std::size_t j, std::size_t k, std::size_t by_column, std::size_t by_number) {
    const double u = v[by_column] * inverse_scale_[j];
    if (by_number != kNowhere) point.u[by_number] = u;
    if (shifted_ && scaling_.centre[j] != 0) shift[k] -= two_product(u, scaling_.centre[j]);
  });
  for (std::size_t k = 0; k < outputs; ++k) point.shift[k] = static_cast<double>(shift[k]);
  return point;
}

void LinearObjective::keep(Sums sums) {
  if (sums.values.size() > kKeptValues) return spares_.clear();
  spares_.push_back(std::make_unique<Sums>(std::move(sums)));
}

void LinearObjective::keep(ModelPoint point) {
  if (point.u.size() <= kKeptValues) spare_u_ = std::move(point.u);
}

void LinearObjective::write_gradient(const Sums& sums, double factor, std::span<double> gradient) const {
  MUSTER_CHECK(gradient.size() == dimension(), "a vector of the objective's dimension");
  const std::size_t columns = rows_.columns(), outputs = loss_.outputs();
  const double *by_u = sums.values.data() + loss_.gradient(), *residuals = sums.values.data() + loss_.residuals();
  each_coefficient([&](std::size_t j, std::size_t k, std::size_t by_column, std::size_t by_number) {
    double sum = by_number != kNowhere ? by_u[by_number] : 0;
    if (shifted_) sum = std::fma(-scaling_.centre[j], residuals[k], sum);
    gradient[by_column] = factor * (sum * inverse_scale_[j]);
  });
  for (std::size_t k = 0; k < outputs && intercept_; ++k) gradient[columns * outputs + k] = factor * residuals[k];
}

void LinearObjective::take_sums(Sums sums, double& value, std::span<double> gradient, std::span<double> tallies_out) {
  value = sums.values[0];
  write_gradient(sums, 1, gradient);
  loss_.write_tallies(sums.values, tallies_out);
  keep(std::move(sums));
}

Work LinearObjective::value_and_gradient(std::span<const double> v, double& value, std::span<double> gradient,
                                         std::span<double> tallies_out) {
  MUSTER_CHECK(tallies_out.size() == tallies(), "room for the tallies");
  ModelPoint point = point_at(v);
  FusedPass pass{loss_, scaling_.centre, MarginUse::loss, point};
  if (margins_) pass.margins = margins_->put(v, margins_kept());
  take_sums(sum_blocks(pass), value, gradient, tallies_out);
  keep(std::move(point));
  return work_of(6);
}

Work LinearObjective::curvature_product(std::span<const double> v, std::span<double> product) {
  ModelPoint point = point_at(v);
  const FusedPass pass{loss_, scaling_.centre, MarginUse::bound, point};
  Sums sums = sum_blocks(pass);
  write_gradient(sums, loss_.bound_factor(), product);
  keep(std::move(sums));
  keep(std::move(point));
  return work_of(6);
}

Work LinearObjective::hessian_product(std::span<const double> w, std::span<const double> v, std::span<double> product) {
  if (loss() == Loss::squared) return curvature_product(v, product);
  ModelPoint point = point_at(v);
  FusedPass pass{loss_, scaling_.centre, MarginUse::hessian, point};
  std::optional<ModelPoint> curved_at;
  Work work = work_of(6);
  if (in_order()) {
    pass.curved_at = &curved_at.emplace(point_at(w));
  } else {
    pass.at = kept_margins(w, work);
  }
  Sums sums = sum_blocks(pass);
  write_gradient(sums, 1, product);
  keep(std::move(sums));
  keep(std::move(point));
  return work;
}

BatchModel LinearObjective::batch_model() const {
  return {loss_, scaling_.centre, scaling_.scale, intercept_};
}

std::size_t LinearObjective::deal(std::size_t rows, std::uint64_t seed) {
  if (rows_.shape().sparse && !intercept_) {
    for (const double centre : scaling_.centre) MUSTER_CHECK(centre == 0, "sparse rows are centred by the intercept");
  }
  return dealt_.deal(rows_.source(), batch_model(), rows, seed);
}

std::span<const std::uint32_t> LinearObjective::keys(std::size_t batch) {
  const DealtRows::Place place = dealt_.at(batch);
  return place.batches.keys(place.batch);
}
double LinearObjective::batch_weight(std::size_t batch) {
  const DealtRows::Place place = dealt_.at(batch);
  return place.batches.weight(place.shard, place.batch);
}

Work LinearObjective::batch_gradient(std::size_t batch, std::span<const double> w, double& value,
                                     std::span<double> gradient) {
  const DealtRows::Place place = dealt_.at(batch);
  place.batches.gradient(place.shard, batch_model(), place.batch, w, value, gradient);
  const Work all = work_of(6);
  const double share = static_cast<double>(place.batches.rows(place.batch)) / static_cast<double>(rows_.rows());
  return {all.bytes * share, all.flops * share};
}

double LinearObjective::largest_row_curvature() {
  return muster::largest_row_curvature(rows_.source(), batch_model());
}

std::vector<double> LinearObjective::implicit_centre() const {
  if (!rows_.shape().sparse) return {};
  std::vector<double> k;
  for (const double by_column : scaling_.unscale(scaling_.centre)) k.insert(k.end(), outputs(), by_column);
  k.resize(dimension(), 0.0);
  return k;
}

std::vector<double> curvature_by_intercepts(std::span<const double> tallies, std::size_t classes, double weight) {
  MUSTER_CHECK(tallies.size() == 1 + classes * (classes - 1) / 2, "the tallies of so many classes");
  std::vector<double> curvature(classes * classes, 0.0);
  std::size_t at = 1;
  for (std::size_t a = 0; a < classes; ++a) {
    for (std::size_t b = a + 1; b < classes; ++b, ++at) {
      const double overlap = tallies[at] / weight;
      curvature[a * classes + b] = curvature[b * classes + a] = -overlap;
      curvature[a * classes + a] += overlap;
      curvature[b * classes + b] += overlap;
    }
  }
  return curvature;
}

}  // namespace muster
