#include "cluster/mpi/mpi_sums.h"

#include <algorithm>
#include <utility>

#include "cluster/mailbox.h"
#include "cluster/mpi/mpi_wire.h"
#include "cluster/shared_board.h"
#include "cluster/tree_sum.h"

namespace muster {

namespace {

// Those of one rank's values, and of sums. Between two ranks messages of a tag arrive in order, and all ranks go
// through the same sums in the same order.
constexpr int kValuesTag = 1;
constexpr int kSumsTag = 2;

// With its header a message stays within 64 KB, what Open MPI sends over TCP without asking the receiver first.
constexpr std::size_t kMessageValues = 8000;
// A piece of all ranks' slices stays in a cache.
constexpr std::size_t kPieceValues = 128 * 1024;
// From all other ranks together, up to which each rank adds all.
constexpr std::size_t kFewValues = 4096;
// Slices begin on cache lines, and never within a pair.
constexpr std::size_t kLineValues = 8;

std::size_t divided_up(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}

}  // namespace

struct MpiSums::Slot {
  AlignedVector<double> given, taken, sums;
  std::vector<MPI_Request> sends, receives, sum_receives;
};

struct MpiSums::Piece {
  Slot* slot = nullptr;
  std::span<double> values;
  std::size_t slice = 0;

  std::span<double> part(int place) const {
    const std::size_t begin = std::min(values.size(), static_cast<std::size_t>(place) * slice);
    return values.subspan(begin, std::min(slice, values.size() - begin));
  }
};

MpiSums::MpiSums(MPI_Comm communicator, std::vector<int> ranks, int mine, Wait wait)
    : communicator_(communicator),
      ranks_(std::move(ranks)),
      mine_(mine),
      count_(static_cast<int>(ranks_.size())),
      wait_(std::move(wait)),
      slots_(std::make_unique<std::array<Slot, kSlots>>()),
      sources_(ranks_.size()) {}

MpiSums::~MpiSums() = default;

void MpiSums::send(Slot& slot, const double* values, std::size_t count, int place, int tag) {
  check_mpi(MPI_Isend(values, static_cast<int>(count), MPI_DOUBLE, ranks_[static_cast<std::size_t>(place)], tag,
                      communicator_, &slot.sends.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Isend");
  sent_.bytes += count * sizeof(double) + kHeaderBytes;
  ++sent_.messages;
}

void MpiSums::receive(std::vector<MPI_Request>& requests, double* values, std::size_t count, int place, int tag) {
  check_mpi(MPI_Irecv(values, static_cast<int>(count), MPI_DOUBLE, ranks_[static_cast<std::size_t>(place)], tag,
                      communicator_, &requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Irecv");
}

void MpiSums::await(std::vector<MPI_Request>& requests) {
  try {
    wait_([&requests] { return all_complete(requests); });
  } catch (...) {
    (void)slots_.release();  // for good: MPI may still write there
    throw;
  }
  requests.clear();
}

void MpiSums::add(std::span<double> values, ReduceOp op, int receiver) {
  const bool few = values.size() * static_cast<std::size_t>(count_ - 1) <= kFewValues;
  if (few || (count_ == 2 && receiver == kEverybody)) return gather_and_add(values, op);
  add_by_slices(values, op, receiver);
}

// --- everybody adds all ---

void MpiSums::gather_and_add(std::span<double> values, ReduceOp op) {
  const std::size_t pieces = divided_up(values.size(), kMessageValues);
  const auto piece = [&](std::size_t k) {
    return values.subspan(k * kMessageValues, std::min(kMessageValues, values.size() - k * kMessageValues));
  };
  const auto slot = [&](std::size_t k) -> Slot& { return (*slots_)[k % 2]; };
  for (std::size_t k = 0; k < std::min<std::size_t>(pieces, 2); ++k) begin_gather(slot(k), piece(k));
  for (std::size_t k = 0; k < pieces; ++k) {
    finish_gather(slot(k), piece(k), op);
    if (k + 2 < pieces) begin_gather(slot(k), piece(k + 2));
  }
}

// Block j of the slot is that of the rank j places behind. All blocks up to `distance` are there; now twice as many.
void MpiSums::gather_at(Slot& slot, std::size_t count, int distance) {
  const auto known = static_cast<std::size_t>(distance);
  const std::size_t values = std::min(known, static_cast<std::size_t>(count_) - known) * count;
  receive(slot.receives, slot.taken.data() + known * count, values, (mine_ + distance) % count_, kValuesTag);
  send(slot, slot.taken.data(), values, (mine_ - distance + count_) % count_, kValuesTag);
}

void MpiSums::begin_gather(Slot& slot, std::span<const double> values) {
  slot.taken.resize(values.size() * static_cast<std::size_t>(count_));
  std::copy(values.begin(), values.end(), slot.taken.begin());
  gather_at(slot, values.size(), 1);
}

void MpiSums::finish_gather(Slot& slot, std::span<double> values, ReduceOp op) {
  await(slot.receives);
  for (int distance = 2; distance < count_; distance *= 2) {
    gather_at(slot, values.size(), distance);
    await(slot.receives);
  }
  for (int p = 0; p < count_; ++p) {
    const auto block = static_cast<std::size_t>((p - mine_ + count_) % count_);
    sources_[static_cast<std::size_t>(p)] = slot.taken.data() + block * values.size();
  }
  double* const out = values.data();
  tree_sum(sources_, {&out, 1}, values.size(), op);
  await(slot.sends);
}

// --- everybody adds a slice ---

void MpiSums::give(const Piece& piece, int receiver) {
  Slot& slot = *piece.slot;
  const std::size_t room = piece.slice * static_cast<std::size_t>(count_);
  slot.given.resize(room);
  slot.taken.resize(room);
  slot.sums.resize(room);
  const std::size_t own = piece.part(mine_).size();
  for (int k = 1; k < count_; ++k) {
    const int place = (mine_ + k) % count_;
    const std::size_t at = static_cast<std::size_t>(place) * piece.slice;
    const std::span<const double> part = piece.part(place);
    if (own > 0) receive(slot.receives, slot.taken.data() + at, own, place, kValuesTag);
    if (part.empty()) continue;
    if (receiver == kEverybody || receiver == mine_) {
      receive(slot.sum_receives, slot.sums.data() + at, part.size(), place, kSumsTag);
    }
    std::copy(part.begin(), part.end(), slot.given.data() + at);
    send(slot, slot.given.data() + at, part.size(), place, kValuesTag);
  }
}

void MpiSums::add_own_slice(const Piece& piece, ReduceOp op, int receiver) {
  Slot& slot = *piece.slot;
  await(slot.receives);
  const std::span<double> own = piece.part(mine_);
  if (own.empty()) return;
  for (int p = 0; p < count_; ++p) {
    const std::size_t at = static_cast<std::size_t>(p) * piece.slice;
    sources_[static_cast<std::size_t>(p)] = p == mine_ ? own.data() : slot.taken.data() + at;
  }
  double* const sum = slot.sums.data() + static_cast<std::size_t>(mine_) * piece.slice;
  double* const outs[] = {own.data(), sum};
  tree_sum(sources_, outs, own.size(), op);
  for (int k = 1; k < count_; ++k) {
    const int place = (mine_ + k) % count_;
    if (receiver == kEverybody || receiver == place) send(slot, sum, own.size(), place, kSumsTag);
  }
}

void MpiSums::take_sums(const Piece& piece) {
  Slot& slot = *piece.slot;
  const bool takes = !slot.sum_receives.empty();
  await(slot.sum_receives);
  for (int p = 0; takes && p < count_; ++p) {
    const std::span<double> part = piece.part(p);
    if (p != mine_) std::copy_n(slot.sums.data() + static_cast<std::size_t>(p) * piece.slice, part.size(), part.data());
  }
  await(slot.sends);
}

void MpiSums::add_by_slices(std::span<double> values, ReduceOp op, int receiver) {
  const auto count = static_cast<std::size_t>(count_);
  const std::size_t largest = std::min(kMessageValues, std::max(kPieceValues / count, kLineValues));
  const std::size_t pieces = divided_up(values.size(), largest / kLineValues * kLineValues * count);
  const std::size_t slice = divided_up(values.size(), pieces * count * kLineValues) * kLineValues;
  const auto piece_at = [&](std::size_t k) {
    const std::size_t begin = std::min(values.size(), k * slice * count);
    return Piece{&(*slots_)[k % kSlots], values.subspan(begin, std::min(slice * count, values.size() - begin)), slice};
  };
  give(piece_at(0), receiver);
  for (std::size_t k = 0; k < pieces; ++k) {
    if (k + 1 < pieces) give(piece_at(k + 1), receiver);
    add_own_slice(piece_at(k), op, receiver);
    if (k > 0) take_sums(piece_at(k - 1));
  }
  take_sums(piece_at(pieces - 1));
}

}  // namespace muster
