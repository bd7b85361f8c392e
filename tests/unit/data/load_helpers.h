// Loading for tests: a dataset of n workers put together, as plain rows.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "data/load.h"
#include "data/load_internal.h"
#include "test_peers.h"

namespace muster {

struct Rows {
  Encoding encoding;
  LoadSummary summary;
  std::vector<std::vector<double>> x;
  std::vector<double> y, weights, offsets, folds;
  std::vector<std::size_t> rows_by_worker;

  std::vector<std::string> feature_names() const {
    std::vector<std::string> names;
    for (std::size_t j = 0; j < encoding.feature_count(); ++j) names.push_back(encoding.feature_name(j));
    return names;
  }
};

// CSV of columns x, y and note, of which one note is longer than half of the file and has lines that look like rows.
inline std::string rows_in_a_cell() {
  std::string text = "x,y,note\n";
  const auto rows = [&](int count, const char* note) {
    for (int i = 0; i < count; ++i)
      text += std::to_string(text.size()) + "," + std::to_string(i % 7) + "," + note + "\n";
  };
  rows(10'000, "a");
  text += "1,2,\"";
  rows(40'000, "b");
  text.insert(text.size() - 1, "\"");  // not where a cell begins: to whom it looks open, it is a letter
  rows(10'000, "c");
  return text;
}

inline void append_shard(const Shard& shard, Rows& rows) {
  const std::size_t n = shard.rows(), d = shard.cols();
  const std::size_t before = rows.x.size();
  rows.x.resize(before + n, std::vector<double>(d, 0.0));
  if (const auto* dense = std::get_if<DenseMatrix>(&shard.matrix)) {
    std::visit(
        [&](const auto& values) {
          EXPECT_EQ(values.size(), n * d);
          for (std::size_t i = 0; i < n * d; ++i) rows.x[before + i / d][i % d] = static_cast<double>(values[i]);
        },
        dense->values);
  } else {
    const auto& sparse = std::get<SparseMatrix>(shard.matrix);
    EXPECT_EQ(sparse.row_begin.size(), n + 1);
    std::visit(
        [&](const auto& values) {
          EXPECT_EQ(values.size(), sparse.row_begin[n]);
          for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t k = sparse.row_begin[i]; k < sparse.row_begin[i + 1]; ++k) {
              EXPECT_LT(sparse.columns[k], d);
              if (k > sparse.row_begin[i]) {
                EXPECT_LT(sparse.columns[k - 1], sparse.columns[k]);
              }
              rows.x[before + i][sparse.columns[k]] = static_cast<double>(values[k]);
            }
          }
        },
        sparse.values);
  }
  rows.y.insert(rows.y.end(), shard.targets.begin(), shard.targets.end());
  rows.weights.insert(rows.weights.end(), shard.weights.begin(), shard.weights.end());
  rows.offsets.insert(rows.offsets.end(), shard.offsets.begin(), shard.offsets.end());
  rows.folds.insert(rows.folds.end(), shard.folds.begin(), shard.folds.end());
  rows.rows_by_worker.push_back(n);
}

inline Rows join(const std::vector<Dataset>& parts) {
  Rows rows;
  rows.encoding = parts.front().encoding;
  rows.summary = parts.front().summary;
  for (const Dataset& part : parts) {
    EXPECT_EQ(part.encoding.feature_count(), rows.encoding.feature_count());
    EXPECT_EQ(part.summary.rows_read, rows.summary.rows_read);
    EXPECT_EQ(part.summary.notes, rows.summary.notes);
    append_shard(part.shard, rows);
  }
  return rows;
}

inline Rows load_on(int n, const LoadRequest& request) {
  return join(on_workers<Dataset>(n, [&](Peers& peers) { return load(request, peers); }));
}

inline LoadRequest request_for(const std::string& path, const std::string& target) {
  LoadRequest request;
  request.options.paths = {path};
  request.options.target = target;
  return request;
}

// The sentence of the InputError that work throws; empty where it throws none.
inline std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

inline std::string load_error(int n, const LoadRequest& request) {
  return error_of([&] { load_on(n, request); });
}

// How a sentence about a file begins and what else it must contain.
inline ::testing::AssertionResult says(const std::string& sentence, const std::string& begin,
                                       const std::vector<std::string>& parts) {
  if (sentence.rfind(begin, 0) != 0) return ::testing::AssertionFailure() << "begins otherwise: " << sentence;
  for (const std::string& part : parts) {
    if (sentence.find(part) == std::string::npos) {
      return ::testing::AssertionFailure() << "lacks \"" << part << "\": " << sentence;
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace muster
