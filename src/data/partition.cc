#include "data/partition.h"

#include <algorithm>

namespace muster {
namespace {

// An atom or a range that can be cut anywhere, with the weight that is shared out.
struct Stretch {
  Piece piece;
  double weight = 0;
  bool divisible = false;
};

std::vector<Stretch> stretches(const Catalog& catalog, const std::vector<std::vector<std::int64_t>>& group_rows) {
  constexpr double kUsualRatio = 4;  // text packs to about a quarter, so packed bytes stand for more rows
  std::vector<Stretch> all;
  for (std::size_t f = 0; f < catalog.files.size(); ++f) {
    const InputFile& file = catalog.files[f];
    if (catalog.format == Format::parquet) {
      for (std::size_t g = 0; g < group_rows[f].size(); ++g) {
        all.push_back({{f, g, g + 1}, static_cast<double>(group_rows[f][g]), false});
      }
    } else if (is_splittable(catalog, file)) {
      all.push_back({{f, 0, file.bytes}, static_cast<double>(file.bytes), true});
    } else {
      all.push_back({{f, 0, 1}, kUsualRatio * static_cast<double>(file.bytes), false});
    }
  }
  return all;
}

void add(std::vector<Piece>& part, const Piece& piece) {
  if (piece.begin == piece.end) return;
  if (!part.empty() && part.back().file == piece.file && part.back().end == piece.begin) {
    part.back().end = piece.end;
  } else {
    part.push_back(piece);
  }
}

}  // namespace

bool is_splittable(const Catalog& catalog, const InputFile& file) {
  return catalog.format == Format::parquet || file.compression == Compression::none;
}

Parts partition(const Catalog& catalog, int workers, const std::vector<std::vector<std::int64_t>>& group_rows) {
  const std::vector<Stretch> all = stretches(catalog, group_rows);
  double total = 0;
  for (const Stretch& stretch : all) total += stretch.weight;
  Parts parts(static_cast<std::size_t>(workers));
  const auto owner = [&](double position) {
    const double share = total > 0 ? position / total * workers : 0;
    return std::min(static_cast<std::size_t>(share), parts.size() - 1);
  };
  double before = 0;
  for (const Stretch& stretch : all) {
    if (!stretch.divisible) {
      add(parts[owner(before + stretch.weight / 2)], stretch.piece);
    } else {
      std::uint64_t begin = stretch.piece.begin;
      for (std::size_t w = owner(before); begin < stretch.piece.end && w < parts.size(); ++w) {
        const double cut = total * static_cast<double>(w + 1) / workers - before;
        std::uint64_t end = w + 1 == parts.size() || cut >= stretch.weight
                                ? stretch.piece.end
                                : static_cast<std::uint64_t>(std::max(0.0, cut));
        end = std::clamp(end, begin, stretch.piece.end);
        add(parts[w], {stretch.piece.file, begin, end});
        begin = end;
      }
    }
    before += stretch.weight;
  }
  return parts;
}

}  // namespace muster
