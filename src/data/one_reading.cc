#include "data/one_reading.h"

#include <fmt/format.h>

#include <limits>
#include <type_traits>
#include <utility>

#include "data/agree.h"
#include "data/csv_text.h"
#include "data/libsvm_blocks.h"
#include "data/libsvm_facts.h"
#include "data/load_internal.h"

namespace muster {
namespace {

// Of a class that is spelled as a number.
double value_of(const std::string& level) {
  return *as_number(level);
}

class LibsvmReading final : public OneReading {
 public:
  LibsvmReading(const LoadRequest& request, const Inputs& inputs, Peers& peers, const ProgressCallback& progress)
      : request_(request),
        catalog_(inputs.catalog),
        progress_(progress),
        pieces_(cut(inputs, peers.size())[static_cast<std::size_t>(peers.rank())]),
        meter_(progress_, catalog_, pieces_),
        reader_(catalog_, pieces_, request.options.libsvm_base == LibsvmBase::one ? 1 : 0, kHighestLibsvmIndex,
                kBlockBytes) {}

  const Shard* next() override {
    window_ = Shard();
    if (rows_.use_count() > 1) rows_ = std::make_shared<LibsvmRows>();  // somebody has kept a window
    if (!reader_.next(*rows_)) {
      meter_.finish(static_cast<std::int64_t>(facts_.rows_read));
      return nullptr;
    }
    facts_.rows_read += rows_->rows();
    note_indices(*rows_, facts_);
    meter_.at(reader_.bytes_read(), static_cast<std::int64_t>(facts_.rows_read));
    show();
    return &window_;
  }

  Dataset finish(const EndOfReading& end, Peers& peers) override {
    facts_.rows_counted = reader_.rows_counted();
    facts_.labels.insert(end.labels.begin(), end.labels.end());
    const LibsvmFacts all = merge_facts(peers.all_gather(pack(facts_)));
    check_facts(all, catalog_);
    Dataset data;
    encode_libsvm(request_, all, data);
    note_unsplittable(catalog_, peers.size(), data.summary.notes);
    base_ = static_cast<std::uint32_t>(data.encoding.libsvm_base);
    return data;
  }
  std::uint32_t first_feature() const override { return base_; }
  double positive(const Dataset& data) const override { return value_of(data.encoding.classes[1]); }

 private:
  // What is parsed should be learned from before it leaves the cache.
  static constexpr std::size_t kBlockBytes = std::size_t{256} << 10;

  // The window sees the block's arrays where they are.
  void show() {
    const auto seen = [&](const auto& array) {
      using T = typename std::remove_cvref_t<decltype(array)>::value_type;
      return RowArray<T>::seen(array, rows_);
    };
    SparseMatrix& matrix = window_.matrix.emplace<SparseMatrix>();
    matrix.cols = std::numeric_limits<std::uint32_t>::max();
    matrix.rows = rows_->rows();
    matrix.row_begin = seen(rows_->row_begin);
    matrix.columns = seen(rows_->indices);
    matrix.values = seen(rows_->values);
    window_.targets = seen(rows_->labels);
  }

  LoadRequest request_;
  Catalog catalog_;
  ProgressCallback progress_;
  std::vector<Piece> pieces_;
  ProgressMeter meter_;
  LibsvmReader reader_;
  std::shared_ptr<LibsvmRows> rows_ = std::make_shared<LibsvmRows>();
  LibsvmFacts facts_;
  Shard window_;
  std::uint32_t base_ = 0;
};

class TableReading final : public OneReading {
 public:
  // Collective.
  TableReading(const LoadRequest& request, const Inputs& inputs, const StreamOptions& options, Peers& peers,
               const ProgressCallback& progress)
      : request_(request), data_(load_inputs(request, inputs, peers, progress)), held_(data_.shard) {
    together(peers, [&] {
      if (data_.streamed) open(options, peers.rank());
    });
    RowSource& source = streamed_ ? static_cast<RowSource&>(*streamed_) : held_;
    pass_ = source.begin(1);
  }

  const Shard* next() override { return pass_->next(); }

  Dataset finish(const EndOfReading& end, Peers& peers) override {
    pass_.reset();
    data_.shard = without_rows(data_.shard);
    if (!data_.unread) return data_;
    if (end.complete) {
      count_rows(streamed_->counts(), streamed_->shape().weight, peers, data_);
    } else {
      count_some(end.rows, peers);
    }
    if (request_.target == TargetKind::binary) name_classes(end.labels);
    return data_;
  }
  double positive(const Dataset& data) const override { return data_.unread ? value_of(data.encoding.classes[1]) : 1; }

 private:
  void open(const StreamOptions& options, int rank) {
    streamed_.emplace(request_, data_.encoding, request_.readers, options);
    if (data_.unread) {
      streamed_->add_unread(*data_.unread);
    } else {
      streamed_->add(rank);
    }
  }
  // Of a reading that was not gone through with.
  void count_some(std::int64_t rows, Peers& peers) {
    Packer packer;
    packer.number(static_cast<std::uint64_t>(rows));
    for (const std::string& one : peers.all_gather(packer.take()))
      data_.summary.rows_read += static_cast<std::int64_t>(Unpacker(one).number());
    data_.summary.rows_in_files = data_.summary.rows_read;
  }
  void name_classes(const std::vector<double>& labels) {
    std::vector<std::string> levels;
    for (const double label : labels) levels.push_back(spell(label));
    TargetClasses chosen =
        choose_classes(fmt::format("the target '{}'", shown(data_.encoding.target)), std::move(levels), true, request_);
    data_.encoding.classes = std::move(chosen.classes);
    data_.summary.notes.push_back(std::move(chosen.note));
  }

  LoadRequest request_;
  Dataset data_;
  HeldRows held_;
  std::optional<StreamedRows> streamed_;
  std::unique_ptr<RowPass> pass_;
};

}  // namespace

std::unique_ptr<OneReading> read_once(const LoadRequest& request, const StreamOptions& options, Peers& peers,
                                      const std::function<void(const LoadProgress&)>& progress) {
  const Inputs inputs = agree_on_inputs(request, peers);
  if (inputs.catalog.format == Format::libsvm) {
    refuse_column_options(request);
    return std::make_unique<LibsvmReading>(request, inputs, peers, progress);
  }
  LoadRequest unread = request;
  unread.unread_features = std::numeric_limits<std::size_t>::max();
  unread.labels_as_written = true;
  return std::make_unique<TableReading>(unread, inputs, options, peers, progress);
}

}  // namespace muster
