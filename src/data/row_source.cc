#include "data/row_source.h"

#include <utility>

#include "base/double_double.h"
#include "data/mapped_file.h"

namespace muster {
namespace {

class OneWindow final : public RowPass {
 public:
  explicit OneWindow(const Shard& shard) : shard_(shard), done_(shard.rows() == 0) {}
  const Shard* next() override {
    if (shard_.seen_in) shard_.seen_in->check_unchanged();
    return std::exchange(done_, true) ? nullptr : &shard_;
  }

 private:
  const Shard& shard_;
  bool done_;
};

double sum_of_weights(const Shard& shard) {
  if (shard.weights.empty()) return static_cast<double>(shard.rows());
  DoubleDouble sum;
  for (const double weight : shard.weights) sum += weight;
  return static_cast<double>(sum);
}

}  // namespace

double RowShape::bytes() const {
  double bytes = static_cast<double>(entries) * static_cast<double>(value_bytes);
  if (sparse)
    bytes += static_cast<double>(entries) * sizeof(std::uint32_t) + static_cast<double>(rows) * sizeof(std::uint64_t);
  return bytes + static_cast<double>(beside) * sizeof(double);
}

RowShape shape_of(const Shard& shard) {
  RowShape shape;
  shape.rows = shard.rows();
  shape.cols = shard.cols();
  shape.has_targets = shard.targets.size() == shape.rows;
  shape.beside = shard.targets.size() + shard.weights.size() + shard.offsets.size() + shard.folds.size();
  shape.weight = sum_of_weights(shard);
  const auto* sparse = std::get_if<SparseMatrix>(&shard.matrix);
  shape.sparse = sparse != nullptr;
  shape.entries = sparse ? sparse->columns.size() : shape.rows * shape.cols;
  shape.value_bytes = std::visit(
      [](const auto& matrix) {
        return std::visit([](const auto& values) { return sizeof(values[0]); }, matrix.values);
      },
      shard.matrix);
  return shape;
}

const RowShape& HeldRows::shape() {
  if (shard_.rows() != shape_.rows) shape_ = shape_of(shard_);
  return shape_;
}

std::unique_ptr<RowPass> HeldRows::begin(std::size_t) {
  return std::make_unique<OneWindow>(shard_);
}

}  // namespace muster
