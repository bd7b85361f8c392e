// Rows that are read anew, and fail to be in the middle of training.
#include <gtest/gtest.h>

#include "fit_on.h"
#include "muster/error.h"

namespace muster {
namespace {

// A shard's rows as a stream; the files are found changed after some passes.
class FailingStream final : public RowSource {
 public:
  FailingStream(const Shard& shard, int good_passes) : held_(shard), good_passes_(good_passes) {}

  const RowShape& shape() override { return held_.shape(); }
  const Shard& head() override { return held_.head(); }
  const Shard* held() override { return nullptr; }
  std::unique_ptr<RowPass> begin(std::size_t align) override {
    if (good_passes_-- == 0) throw InputError("t.csv: the file is not what it was");
    return held_.begin(align);
  }

 private:
  HeldRows held_;
  int good_passes_;
};

Table some_rows() {
  Table table;
  for (int i = 0; i < 60; ++i) {
    table.x.push_back({0.1 * i, static_cast<double>(i % 7), static_cast<double>(i % 3)});
    table.y.push_back(i % 7 + i % 2 > 3 ? 1 : 0);
  }
  return table;
}

// Whatever all ranks are in the middle of, they end with the sentence of the one whose file has changed.
TEST(FitStream, AFileThatChangesEndsTheRunInItsSentence) {
  const Table table = some_rows();
  for (const auto& [mode, solver] :
       {std::pair{Mode::mapreduce, SolverChoice::lbfgs}, std::pair{Mode::parameter_server, SolverChoice::ftrl},
        std::pair{Mode::parameter_server, SolverChoice::dave}, std::pair{Mode::decentralized, SolverChoice::nids}}) {
    TrainOptions options = with(Loss::logistic, solver, 0.1);
    options.run.mode = mode;
    for (const int passes : {0, 2, 15}) {
      try {
        run_threads(3, {.tolerate_losses = mode != Mode::mapreduce}, [&](Endpoint& endpoint) {
          const int workers = mode == Mode::parameter_server ? 2 : 3;
          Dataset data = share(table, endpoint.rank() % workers, workers);
          if (endpoint.rank() >= workers) data.shard = without_rows(data.shard);
          FailingStream stream(data.shard, endpoint.rank() == 1 ? passes : -1);
          Executor executor(1, [&] { endpoint.progress(); });
          const Topology topology = make_topology("ring", 3, MixingWeights::automatic, 0);
          FitRequest request{.data = data,
                             .options = options,
                             .rows = &stream,
                             .instruction_set = best_instruction_set(),
                             .start = {},
                             .topology = &topology,
                             .on_round = {},
                             .wants_checkpoint = {},
                             .save_checkpoint = {}};
          fit(request, endpoint, executor);
        });
        ADD_FAILURE() << "nobody noticed, " << passes;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("t.csv: the file is not what it was"), std::string::npos)
            << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace muster
