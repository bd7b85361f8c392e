#include "engine/division.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "data/column_blocks.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr Tag kPieceTag = 1;
constexpr std::size_t kPieceBytes = std::size_t{8} << 20;
// Rows are kept where another split would not take less than this of the time.
constexpr double kWorthwhile = 0.5;

GridShape shape_asked_for(const SplitOptions& split, int ranks) {
  switch (split.kind) {
    case SplitOptions::Kind::features:
      return {1, ranks};
    case SplitOptions::Kind::grid:
      return {split.rows, split.columns};
    case SplitOptions::Kind::automatic:
    case SplitOptions::Kind::rows:
      break;
  }
  return {ranks, 1};
}

std::size_t pieces_of(std::size_t bytes) {
  return (bytes + kPieceBytes - 1) / kPieceBytes;
}
std::size_t piece_length(std::size_t bytes, std::size_t piece) {
  return std::min(kPieceBytes, bytes - piece * kPieceBytes);
}

// Sends `mine` to one rank and receives what another sends, piece by piece, so that neither waits with more than a
// piece outstanding.
Buffer exchange(Endpoint& endpoint, int to, const Buffer& mine, int from) {
  const auto length = static_cast<std::uint64_t>(mine.size());
  endpoint.send(to, kPieceTag, Buffer::copy_of(std::span(&length, 1)));
  const Message announced = endpoint.receive({{from}, {kPieceTag}}, Deadline::never());
  Buffer theirs(announced.payload.as<std::uint64_t>()[0]);
  const std::size_t sends = pieces_of(mine.size()), receives = pieces_of(theirs.size());
  for (std::size_t k = 0; k < std::max(sends, receives); ++k) {
    if (k < sends) {
      Buffer piece(piece_length(mine.size(), k));
      std::memcpy(piece.data(), mine.data() + k * kPieceBytes, piece.size());
      endpoint.send(to, kPieceTag, std::move(piece));
    }
    if (k < receives) {
      const Message piece = endpoint.receive({{from}, {kPieceTag}}, Deadline::never());
      std::memcpy(theirs.data() + k * kPieceBytes, piece.payload.data(), piece.payload.size());
    }
  }
  return theirs;
}

// Sends part(k) to every other rank k, and returns what the others sent, by rank.
template <class Part>
std::vector<Buffer> exchange_with_all(Endpoint& group, const Part& part) {
  const int count = group.size(), mine = group.rank();
  std::vector<Buffer> received(static_cast<std::size_t>(count));
  for (int distance = 1; distance < count; ++distance) {
    const int to = (mine + distance) % count, from = (mine + count - distance) % count;
    received[static_cast<std::size_t>(from)] = exchange(group, to, to_bytes(part(static_cast<std::size_t>(to))), from);
  }
  return received;
}

}  // namespace

std::string name(GridShape shape) {
  if (shape.columns == 1) return "rows";
  if (shape.rows == 1) return "features";
  return fmt::format("{}x{}", shape.rows, shape.columns);
}

void check_split(const RunOptions& run, int ranks) {
  const GridShape shape = shape_asked_for(run.split, ranks);
  if (shape.rows * shape.columns == ranks) return;
  throw InputError(fmt::format(
      "--split {0}x{1} is a grid of {2} workers, and there {3} {4}: change --split or the number of workers",
      shape.rows, shape.columns, shape.rows * shape.columns, ranks == 1 ? "is" : "are", ranks));
}

SplitChoice choose_split(const RunOptions& run, const DataShape& data, int ranks) {
  if (run.split.kind != SplitOptions::Kind::automatic || run.mode != Mode::mapreduce)
    return {shape_asked_for(run.split, ranks)};
  const GridShape by_rows{ranks, 1};
  if (ranks == 1) return {by_rows, "rows, because one worker holds everything"};
  if (run.solver == SolverChoice::exact) return {by_rows, "rows, because exact needs all columns of a row together"};
  const Cost cost(data, ranks);
  const auto seconds = [&](GridShape shape) { return kExpectedRounds * cost.of_round(shape) + cost.of_cutting(shape); };
  GridShape best{1, ranks};
  for (int r = 2; r < ranks; ++r) {
    const GridShape shape{r, ranks / r};
    if (ranks % r == 0 && seconds(shape) < seconds(best)) best = shape;
  }
  const bool worthwhile = seconds(best) < kWorthwhile * seconds(by_rows);
  const std::string by = fmt::format("{}, because for {} a round takes about {} by rows, and as {} about {}",
                                     name(worthwhile ? best : by_rows), cost.subject(),
                                     in_seconds(cost.of_round(by_rows)), name(best), in_seconds(cost.of_round(best)));
  return {worthwhile ? best : by_rows, by};
}

Division::Division(const SplitChoice& choice, Endpoint& whole, Dataset& data) : choice_(choice) {
  const int columns = choice.shape.columns;
  begins_ = column_blocks(data.encoding, static_cast<std::size_t>(columns));
  if (columns == 1) return;
  const int row = whole.rank() / columns, column = whole.rank() % columns;
  block_ = static_cast<std::size_t>(column);
  over_columns_ = whole.split(row, column);
  over_rows_ = whole.split(choice.shape.rows + column, row);
  const auto cut = [&](std::size_t block) { return columns_between(data.shard, begins_[block], begins_[block + 1]); };
  std::vector<Buffer> parts = exchange_with_all(*over_columns_, cut);
  Shard own = cut(block_);
  const auto seen_in = data.shard.seen_in;  // what was cut is right if that file is still the same
  data.shard = without_rows(own);
  row_begins_.push_back(0);
  for (std::size_t rank = 0; rank < parts.size(); ++rank) {
    append_rows(data.shard, rank == block_ ? std::exchange(own, {}) : shard_from_bytes(parts[rank]));
    parts[rank] = Buffer();
    row_begins_.push_back(data.shard.rows());
  }
  data.shard.seen_in = seen_in;
}

Shard Division::rows_with_all_columns(const Shard& block) const {
  const auto share = [&](std::size_t rank) { return slice_rows(block, row_begins_[rank], row_begins_[rank + 1]); };
  const auto columns_alone = [&](std::size_t rank) {
    Shard part = share(rank);
    part.targets = part.weights = part.offsets = {};
    return part;
  };
  std::vector<Buffer> received = exchange_with_all(*over_columns_, columns_alone);
  std::vector<Shard> parts;
  for (std::size_t rank = 0; rank < received.size(); ++rank) {
    parts.push_back(rank == block_ ? share(rank) : shard_from_bytes(received[rank]));
    received[rank] = Buffer();
  }
  return columns_together(parts, block_);
}

std::vector<double> Division::gather_columns(std::vector<double> mine, std::size_t per_column) const {
  if (!columns_are_cut()) return mine;
  Endpoint& group = *over_columns_;
  constexpr std::size_t kPiece = kPieceBytes / sizeof(double);
  if (group.rank() != 0) {
    for (std::size_t at = 0; at < mine.size(); at += kPiece) {
      const std::span<const double> piece(mine.data() + at, std::min(kPiece, mine.size() - at));
      group.send(0, kPieceTag, Buffer::copy_of(piece));
    }
    return {};
  }
  mine.resize(all_columns() * per_column);
  for (int rank = 1; rank < group.size(); ++rank) {
    const auto block = static_cast<std::size_t>(rank);
    std::size_t at = begins_[block] * per_column;
    while (at < begins_[block + 1] * per_column) {
      const Message message = group.receive({{rank}, {kPieceTag}}, Deadline::never());
      const auto piece = message.payload.as<double>();
      std::copy(piece.begin(), piece.end(), mine.begin() + static_cast<std::ptrdiff_t>(at));
      at += piece.size();
    }
  }
  return mine;
}

}  // namespace muster
