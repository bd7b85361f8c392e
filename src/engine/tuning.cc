#include "engine/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "data/csv_text.h"
#include "data/reweighted_rows.h"
#include "muster/error.h"
#include "objective/linear_rows.h"

namespace muster {
namespace {

std::int64_t rows_before(Endpoint& endpoint, std::size_t mine) {
  std::vector<double> counts(static_cast<std::size_t>(endpoint.size()), 0.0);
  counts[static_cast<std::size_t>(endpoint.rank())] = static_cast<double>(mine);
  endpoint.allreduce(counts, ReduceOp::sum, Deadline::never());
  return std::llround(std::accumulate(counts.begin(), counts.begin() + endpoint.rank(), 0.0));
}

std::vector<double> descending(std::vector<double> strengths, double otherwise) {
  if (strengths.empty()) strengths = {otherwise};
  std::sort(strengths.begin(), strengths.end(), std::greater<>());
  strengths.erase(std::unique(strengths.begin(), strengths.end()), strengths.end());
  return strengths;
}

class Tuner {
 public:
  Tuner(const TuningRequest& request, Endpoint& endpoint)
      : request_(request), endpoint_(endpoint), of_fold_(request.options) {
    of_fold_.summary = of_fold_.verify = false;
    const TuningOptions& asked = request.options.tuning;
    read_beside();
    if (asked.fold_column.empty()) {
      folds_ = asked.folds;
      fold_of_ = deal_folds(rows_before(endpoint, weights_.size()), weights_.size(), folds_, request.options.run.seed);
    } else {
      name_folds(request.data.encoding.loaded_from.folds);
    }
    for (const double l1 : descending(asked.l1, request.options.problem.l1))
      for (const double l2 : descending(asked.l2, request.options.problem.l2))
        report_.points.push_back({.l2 = l2, .l1 = l1});
  }

  TuningReport run() {
    std::vector<std::array<double, 2>> totals(report_.points.size(), {0, 0});
    for (int fold = 0; fold < folds_; ++fold) {
      ReweightedRows outside(request_.rows, weights_where([fold](int other) { return other != fold; }));
      ReweightedRows inside(request_.rows, weights_where([fold](int other) { return other == fold; }));
      check_fold(fold, inside.shape().weight, outside.shape().weight);
      std::optional<LinearModel> model = request_.start;
      for (std::size_t i = 0; i < report_.points.size(); ++i) {
        TuningPoint& point = report_.points[i];
        of_fold_.problem.l2 = point.l2;
        of_fold_.problem.l1 = point.l1;
        FitResult fitted = fit_without(fold, outside, model);
        if (fitted.report.stop_reason != StopReason::converged) ++report_.unconverged;
        model = std::move(fitted.model);
        std::array<double, 2> sums{loss_over(inside, *model), inside.shape().weight};
        endpoint_.allreduce(sums, ReduceOp::sum, Deadline::never());
        if (request_.on_fit) request_.on_fit(++fits_, folds_ * static_cast<std::int64_t>(report_.points.size()));
        point.by_fold.push_back(sums[0] / sums[1]);
        totals[i][0] += sums[0];
        totals[i][1] += sums[1];
      }
    }
    for (std::size_t i = 0; i < totals.size(); ++i) finish(report_.points[i], totals[i][0] / totals[i][1]);
    choose();
    return std::move(report_);
  }

 private:
  FitResult fit_without(int fold, RowSource& rows, const std::optional<LinearModel>& start) {
    try {
      return fit_to(rows, start);
    } catch (const InputError& error) {
      throw InputError(fmt::format("without the rows of {}: {}", name_of(fold), error.what()));
    }
  }

  std::string name_of(int fold) const {
    if (report_.folds.empty()) return fmt::format("fold {} of --folds {}", fold + 1, folds_);
    return fmt::format("the label '{}' in --fold-column {}", shown(report_.folds[static_cast<std::size_t>(fold)].label),
                       shown(request_.options.tuning.fold_column));
  }

  FitResult fit_to(RowSource& rows, const std::optional<LinearModel>& start) {
    const FitRequest request{.data = request_.data,
                             .options = of_fold_,
                             .rows = &rows,
                             .instruction_set = request_.instruction_set,
                             .budget = request_.budget,
                             .cancellation = request_.cancellation,
                             .start = start,
                             .topology = request_.topology,
                             .losses_end_run = true,
                             .on_round = {},
                             .wants_checkpoint = {},
                             .save_checkpoint = {}};
    return fit(request, endpoint_, request_.executor);
  }

  // Σ s loss over rows of this rank.
  double loss_over(RowSource& source, const LinearModel& model) {
    LinearRows rows(source, request_.executor, request_.instruction_set, request_.budget);
    const std::vector<double> centre(rows.columns(), 0.0);
    std::vector<double> sums(2 * (1 + model.outputs() + model.w.size()));
    endpoint_.charge(rows.certify(of_fold_.problem.loss, model.w, model.intercepts, centre, sums));
    return sums[0] + sums[1];
  }

  // What a row has beside its features: its weight, and the fold that a column says.
  void read_beside() {
    const std::unique_ptr<RowPass> pass = request_.rows.begin(1);
    for (const Shard* window = pass->next(); window != nullptr; window = pass->next()) {
      for (const double fold : window->folds) fold_of_.push_back(static_cast<int>(fold));
      if (window->weights.empty()) {
        weights_.insert(weights_.end(), window->rows(), 1.0);
      } else {
        weights_.insert(weights_.end(), window->weights.begin(), window->weights.end());
      }
    }
  }

  void name_folds(const std::vector<std::string>& labels) {
    MUSTER_CHECK(fold_of_.size() == weights_.size(), "a fold for every row");
    folds_ = static_cast<int>(labels.size());
    std::vector<double> rows(labels.size(), 0.0);
    for (const int fold : fold_of_) ++rows[static_cast<std::size_t>(fold)];
    endpoint_.allreduce(rows, ReduceOp::sum, Deadline::never());
    for (std::size_t k = 0; k < labels.size(); ++k) report_.folds.push_back({labels[k], std::llround(rows[k])});
  }

  template <class Counts>
  std::vector<double> weights_where(Counts counts) const {
    std::vector<double> weights(weights_);
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (!counts(fold_of_[i])) weights[i] = 0;
    return weights;
  }

  void check_fold(int fold, double inside, double outside) {
    double sums[] = {inside, outside};
    endpoint_.allreduce(sums, ReduceOp::sum, Deadline::never());
    if (sums[0] > 0 && sums[1] > 0) return;
    const std::string way_out = report_.folds.empty() ? ": fewer folds, or more rows" : "";
    throw InputError(fmt::format("the rows of {}, or all others, have no weight{}", name_of(fold), way_out));
  }

  void finish(TuningPoint& point, double loss) const {
    point.loss = loss;
    double square = 0, mean = 0;
    for (const double each : point.by_fold) mean += each / folds_;
    for (const double each : point.by_fold) square += (each - mean) * (each - mean);
    point.standard_error = std::sqrt(square / (folds_ - 1) / folds_);
  }

  // Points go from strong to weak penalties; of equally good ones the strongest is taken.
  void choose() {
    const auto better = [](const TuningPoint& a, const TuningPoint& b) { return a.loss < b.loss; };
    const auto best = std::min_element(report_.points.begin(), report_.points.end(), better);
    report_.best = report_.chosen = static_cast<std::size_t>(best - report_.points.begin());
    if (!request_.options.tuning.one_standard_error) return;
    const double allowed = best->loss + best->standard_error;
    const auto first = std::find_if(report_.points.begin(), report_.points.end(),
                                    [allowed](const TuningPoint& point) { return point.loss <= allowed; });
    report_.chosen = static_cast<std::size_t>(first - report_.points.begin());
  }

  const TuningRequest& request_;
  Endpoint& endpoint_;
  TrainOptions of_fold_;
  int folds_ = 0;
  std::vector<int> fold_of_;     // by row of this rank
  std::vector<double> weights_;  // likewise
  std::int64_t fits_ = 0;
  TuningReport report_;
};

}  // namespace

std::vector<int> deal_folds(std::int64_t first_row, std::size_t rows, int folds, std::uint64_t seed) {
  const auto count = static_cast<std::int64_t>(folds);
  std::vector<int> result, group(static_cast<std::size_t>(folds));
  result.reserve(rows);
  std::int64_t drawn = -1;  // the group at hand
  const RandomStream random(seed, 0, RandomPurpose::folds);
  for (std::int64_t row = first_row; row < first_row + static_cast<std::int64_t>(rows); ++row) {
    if (row / count != drawn) {
      drawn = row / count;
      std::iota(group.begin(), group.end(), 0);
      for (std::size_t i = group.size(); i-- > 1;) {
        const double u = random.uniform(static_cast<std::uint64_t>(drawn * count) + i);
        std::swap(group[i], group[static_cast<std::size_t>(u * static_cast<double>(i + 1))]);
      }
    }
    result.push_back(group[static_cast<std::size_t>(row % count)]);
  }
  return result;
}

TuningReport tune(const TuningRequest& request, Endpoint& endpoint) {
  return Tuner(request, endpoint).run();
}

}  // namespace muster
