#include "data/csv_slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "data/agree.h"
#include "muster/error.h"

namespace muster {
namespace {

// A worker's stretch of a shared file, header excluded, and what it does to each start state.
struct Scan {
  std::size_t file = 0;
  std::uint64_t end = 0;
  CutMap map = empty_cut();
};

CutMap scan(const InputFile& file, Dialect dialect, std::uint64_t begin, std::uint64_t end,
            const std::function<void()>& progress) {
  CutMap map = empty_cut();
  const auto source = open_bytes(file, begin);
  std::vector<char> chunk(std::min<std::uint64_t>(end - begin, 1 << 20));
  while (begin < end) {
    const std::size_t got = source->read(chunk.data(), std::min<std::uint64_t>(chunk.size(), end - begin));
    if (got == 0) throw InputError(fmt::format("{}: the file became shorter while it was read", file.path));
    extend(map, {chunk.data(), got}, begin, dialect);
    begin += got;
    progress();
  }
  return map;
}

std::string pack(const std::vector<Scan>& scans) {
  Packer packer;
  packer.number(scans.size());
  for (const Scan& one : scans) {
    packer.number(one.file);
    packer.number(one.end);
    for (const CutRun& run : one.map) {
      packer.number(static_cast<std::uint64_t>(run.end));
      for (const std::uint64_t n : {run.rows, run.first_row, run.last_row, run.last_open}) packer.number(n);
    }
  }
  return packer.take();
}

std::vector<Scan> unpack(const std::string& bytes) {
  Unpacker from(bytes);
  std::vector<Scan> scans(from.number());
  for (Scan& one : scans) {
    one.file = from.number();
    one.end = from.number();
    for (CutRun& run : one.map) {
      run.end = static_cast<CutState>(from.number());
      for (std::uint64_t* n : {&run.rows, &run.first_row, &run.last_row, &run.last_open}) *n = from.number();
    }
  }
  return scans;
}

std::vector<int> readers_per_file(const Catalog& catalog, const Parts& parts) {
  std::vector<int> readers(catalog.files.size(), 0);
  for (const auto& part : parts) {
    for (const Piece& piece : part) ++readers[piece.file];
  }
  return readers;
}

void add_slice(const InputFile& file, const CsvHeader& header, std::uint64_t begin, std::uint64_t end, bool counted,
               bool shared, CsvPart& result) {
  result.slices.push_back({file, header, begin, end, counted, shared});
}

// The stretch of its file that is the piece's, header excluded.
Scan scan_piece(const InputFile& file, const CsvHeader& header, const Piece& piece,
                const std::function<void()>& progress) {
  const std::uint64_t begin = std::max(piece.begin, header.data_begin);
  const std::uint64_t end = std::max(piece.end, header.data_begin);
  return {piece.file, end, scan(file, header.dialect, begin, end, progress)};
}

bool begins_with_quotes(const InputFile& file, const Piece& piece) {
  std::vector<char> text(std::min<std::uint64_t>(piece.end - piece.begin, std::uint64_t{64} << 10));
  text.resize(open_bytes(file, piece.begin)->read(text.data(), text.size()));
  return std::find(text.begin(), text.end(), '"') != text.end();
}

// As if no quote were open where the piece begins.
void guess_slice(const InputFile& file, const CsvHeader& header, const Piece& piece, CsvPart& result) {
  const std::uint64_t begin =
      piece.begin <= header.data_begin ? header.data_begin : first_line(file, piece.begin, piece.end);
  if (begin < piece.end) add_slice(file, header, begin, piece.end, false, true, result);
}

// Workers' scans, from the first on, in order of rank and so of place: follows the state from file to file, keeps the
// rows of one part. Returns how far each file was followed.
std::map<std::size_t, CutRun> follow(const Catalog& catalog, const std::vector<std::vector<Scan>>& all,
                                     std::size_t part, const std::map<std::size_t, CsvHeader>& headers,
                                     CsvPart& result) {
  std::map<std::size_t, CutRun> reached;  // by file
  for (std::size_t r = 0; r < all.size(); ++r) {
    for (const Scan& one : all[r]) {
      CutRun& before = reached[one.file];
      const CutRun& run = one.map[static_cast<std::size_t>(before.end)];
      if (r == part && run.first_row != kNowhere) {
        add_slice(catalog.files[one.file], headers.at(one.file), run.first_row, one.end, true, true, result);
        result.rows_scanned += static_cast<std::int64_t>(run.rows);
      }
      before = then(before, run);
    }
  }
  return reached;
}

void check_closed(const Catalog& catalog, const std::map<std::size_t, CutRun>& reached) {
  for (const auto& [file, run] : reached) {
    if (run.end != CutState::quoted) continue;
    throw InputError(fmt::format("{}:{}: a quote opens here and is never closed", catalog.files[file].path,
                                 line_at(catalog.files[file], run.last_open)));
  }
}

// Files that the part has for itself need no scan.
void add_whole_files(const Catalog& catalog, const std::vector<Piece>& part, const std::vector<int>& readers,
                     const std::map<std::size_t, CsvHeader>& headers, CsvPart& result) {
  for (const Piece& piece : part) {
    if (readers[piece.file] > 1) continue;
    const InputFile& file = catalog.files[piece.file];
    const bool packed = file.compression != Compression::none;
    add_slice(file, headers.at(piece.file), headers.at(piece.file).data_begin,
              packed ? std::numeric_limits<std::uint64_t>::max() : piece.end, false, false, result);
  }
}

void sort_slices(CsvPart& result) {
  std::sort(result.slices.begin(), result.slices.end(),
            [](const CsvSlice& a, const CsvSlice& b) { return a.file.path < b.file.path; });
}

// The header of a piece's file, whose columns must be those of the first file.
CsvHeader header_of(const Catalog& catalog, const Piece& piece, const CsvHeader& first) {
  const InputFile& file = catalog.files[piece.file];
  CsvHeader header = piece.file == 0 ? first : read_csv_header(file);
  check_same_columns(catalog.files.front(), first.names, file, header.names);
  return header;
}

}  // namespace

CsvPart find_slices(const Catalog& catalog, const Parts& parts, bool may_guess, Peers& peers) {
  CsvPart result;
  const auto rank = static_cast<std::size_t>(peers.rank());
  const std::vector<int> readers = readers_per_file(catalog, parts);
  std::map<std::size_t, CsvHeader> headers;  // of this worker's files
  std::vector<Piece> shared;                 // of this worker's pieces
  const auto said = gather_or_throw(peers, [&] {
    const CsvHeader first = read_csv_header(catalog.files.front());
    result.columns = first.names;
    bool quotes = !may_guess;
    for (const Piece& piece : parts[rank]) {
      headers.emplace(piece.file, header_of(catalog, piece, first));
      peers.progress();
      if (readers[piece.file] < 2) continue;
      shared.push_back(piece);
      quotes = quotes || begins_with_quotes(catalog.files[piece.file], piece);
    }
    return std::string(quotes ? "quotes" : "");
  });
  const bool any_shared = std::any_of(readers.begin(), readers.end(), [](int n) { return n > 1; });
  const bool none = std::all_of(said.begin(), said.end(), [](const std::string& one) { return one.empty(); });
  result.guessed = any_shared && none;
  const auto packed = gather_or_throw(peers, [&] {
    std::vector<Scan> scans;
    for (const Piece& piece : shared) {
      const InputFile& file = catalog.files[piece.file];
      if (result.guessed) {
        guess_slice(file, headers.at(piece.file), piece, result);
      } else {
        scans.push_back(scan_piece(file, headers.at(piece.file), piece, [&] { peers.progress(); }));
      }
    }
    return pack(scans);
  });
  together(peers, [&] {
    add_whole_files(catalog, parts[rank], readers, headers, result);
    std::vector<std::vector<Scan>> all;
    for (const std::string& one : packed) all.push_back(unpack(one));
    const auto reached = follow(catalog, all, rank, headers, result);
    if (rank == 0) check_closed(catalog, reached);
    sort_slices(result);
  });
  return result;
}

bool stretches_meet(std::vector<ReadStretch> all) {
  const auto key = [](const ReadStretch& one) { return std::tie(one.file, one.begin); };
  std::sort(all.begin(), all.end(), [&](const ReadStretch& a, const ReadStretch& b) { return key(a) < key(b); });
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool last = i + 1 == all.size() || all[i + 1].file != all[i].file;
    if (all[i].next != (last ? kNowhere : all[i + 1].begin)) return false;
  }
  return true;
}

CsvPart find_slices_alone(const Catalog& catalog, const Parts& parts, std::size_t part,
                          const std::function<void()>& progress) {
  CsvPart result;
  const std::vector<int> readers = readers_per_file(catalog, parts);
  const CsvHeader first = read_csv_header(catalog.files.front());
  result.columns = first.names;
  std::map<std::size_t, CsvHeader> headers;
  for (const Piece& piece : parts[part]) headers.emplace(piece.file, header_of(catalog, piece, first));
  std::vector<std::vector<Scan>> all(part + 1);
  for (std::size_t r = 0; r <= part; ++r) {
    for (const Piece& piece : parts[r]) {
      const auto header = headers.find(piece.file);
      if (header == headers.end() || readers[piece.file] < 2) continue;
      all[r].push_back(scan_piece(catalog.files[piece.file], header->second, piece, progress));
    }
  }
  add_whole_files(catalog, parts[part], readers, headers, result);
  follow(catalog, all, part, headers, result);
  sort_slices(result);
  return result;
}

}  // namespace muster
