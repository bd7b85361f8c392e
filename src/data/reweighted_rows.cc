#include "data/reweighted_rows.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/double_double.h"

namespace muster {
namespace {

// Of a window's copy.
constexpr std::size_t kWindowBytes = std::size_t{8} << 20;

class ReweightedPass final : public RowPass {
 public:
  ReweightedPass(std::unique_ptr<RowPass> inner, std::span<const double> weights, std::size_t window_rows)
      : inner_(std::move(inner)), weights_(weights), window_rows_(window_rows) {}

  const Shard* next() override {
    if (whole_ == nullptr || next_ == whole_->rows()) {
      whole_ = inner_->next();
      next_ = 0;
      if (whole_ == nullptr) return nullptr;
    }
    const std::size_t end = std::min(whole_->rows(), next_ + window_rows_);
    window_ = slice_rows(*whole_, next_, end);
    const std::span<const double> mine = weights_.subspan(done_, end - next_);
    window_.weights.assign(mine.begin(), mine.end());
    done_ += end - next_;
    next_ = end;
    return &window_;
  }

 private:
  std::unique_ptr<RowPass> inner_;
  std::span<const double> weights_;
  std::size_t window_rows_;
  const Shard* whole_ = nullptr;  // of the inner pass; rows before next_ are done
  std::size_t next_ = 0, done_ = 0;
  Shard window_;
};

}  // namespace

ReweightedRows::ReweightedRows(RowSource& inner, std::vector<double> weights)
    : inner_(inner), weights_(std::move(weights)), shape_(inner.shape()) {
  MUSTER_CHECK(weights_.size() == shape_.rows, "one weight a row");
  DoubleDouble sum;
  for (const double weight : weights_) sum += weight;
  shape_.weight = static_cast<double>(sum);
}

std::unique_ptr<RowPass> ReweightedRows::begin(std::size_t align) {
  const double row_bytes = shape_.rows > 0 ? shape_.bytes() / static_cast<double>(shape_.rows) : 1;
  const auto rows = static_cast<std::size_t>(static_cast<double>(kWindowBytes) / std::max(row_bytes, 1.0));
  return std::make_unique<ReweightedPass>(inner_.begin(align), weights_,
                                          std::max(rows / align, std::size_t{1}) * align);
}

}  // namespace muster
