#include "data/discover.h"

#include <arrow/filesystem/localfs.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "data/csv_text.h"
#include "data/text_source.h"
#include "muster/error.h"

namespace muster {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

struct NameSays {
  Compression compression = Compression::none;
  std::optional<Format> format;
};

NameSays read_name(std::string path) {
  for (char& c : path) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  NameSays says;
  std::string_view name = path;
  constexpr std::pair<std::string_view, Compression> kPacked[] = {
      {".gz", Compression::gzip}, {".zst", Compression::zstd}, {".bz2", Compression::bz2}, {".lz4", Compression::lz4}};
  for (const auto& [end, compression] : kPacked) {
    if (!ends_with(name, end)) continue;
    says.compression = compression;
    name.remove_suffix(end.size());
    break;
  }
  for (const std::string_view end : {".csv", ".tsv"}) {
    if (ends_with(name, end)) says.format = Format::csv;
  }
  for (const std::string_view end : {".parquet", ".pq"}) {
    if (ends_with(name, end)) says.format = Format::parquet;
  }
  for (const std::string_view end : {".libsvm", ".svm", ".svmlight"}) {
    if (ends_with(name, end)) says.format = Format::libsvm;
  }
  if (says.format == Format::parquet) says.compression = Compression::none;
  return says;
}

bool is_data_file(const std::string& path) {
  if (read_name(path).format) return true;
  for (const std::string_view end : {".txt", ".txt.gz", ".txt.zst", ".txt.bz2", ".txt.lz4"}) {
    if (ends_with(path, end)) return true;
  }
  return false;
}

// Whether a path below a directory has a hidden part; "_" marks the bookkeeping files of Spark and others.
bool is_hidden(std::string_view below) {
  std::size_t at = 0;
  while (at < below.size()) {
    if (below[at] == '.' || below[at] == '_') return true;
    const std::size_t slash = below.find('/', at);
    if (slash == std::string_view::npos) break;
    at = slash + 1;
  }
  return false;
}

void add_directory(const std::string& path, std::vector<std::string>& found) {
  arrow::fs::LocalFileSystem files;
  arrow::fs::FileSelector selector;
  selector.base_dir = path;
  selector.recursive = true;
  const auto entries = files.GetFileInfo(selector);
  if (!entries.ok()) throw InputError(fmt::format("{}: cannot read the directory", path));
  const std::size_t before = found.size();
  for (const arrow::fs::FileInfo& entry : *entries) {
    std::string_view below = entry.path();
    below.remove_prefix(std::min(below.size(), path.size()));
    while (!below.empty() && below.front() == '/') below.remove_prefix(1);
    if (entry.type() == arrow::fs::FileType::File && !is_hidden(below) && is_data_file(entry.path())) {
      found.push_back(entry.path());
    }
  }
  if (found.size() == before) {
    throw InputError(
        fmt::format("{}: no data in this directory (looked for .csv, .tsv, .txt, .parquet, .libsvm, .svm "
                    "and .svmlight, also packed as .gz, .zst, .bz2 or .lz4)",
                    path));
  }
  std::sort(found.begin() + static_cast<std::ptrdiff_t>(before), found.end());
}

void add_path(const std::string& path, std::vector<std::string>& found) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      add_directory(path, found);
    } else if (S_ISREG(status.st_mode)) {
      found.push_back(path);
    } else {
      throw InputError(fmt::format("{}: not a regular file", path));
    }
    return;
  }
  const int cause = errno;
  if (path.find_first_of("*?[") == std::string::npos) {
    throw InputError(fmt::format("{}: {}", path, cause == ENOENT ? "no such file" : std::strerror(cause)));
  }
  glob_t matches{};
  const int failed = glob(path.c_str(), 0, nullptr, &matches);
  const std::vector<std::string> paths(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  globfree(&matches);
  if (failed || paths.empty()) throw InputError(fmt::format("{}: no file matches", path));
  for (const std::string& match : paths) add_path(match, found);
}

// LIBSVM where every line seen is a number followed by index:value pairs, at least one with a pair.
bool looks_like_libsvm(std::string_view text) {
  bool pairs = false;
  for (int lines = 0; lines < 20 && !text.empty(); ++lines) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos && lines > 0) break;  // perhaps cut off
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    const std::size_t label = line.find_first_not_of(" \t\r");
    if (label == std::string_view::npos) continue;
    const std::size_t label_end = std::min(line.size(), line.find_first_of(" \t\r", label));
    std::string_view number = line.substr(label, label_end - label);
    if (number.front() == '+') number.remove_prefix(1);
    if (!as_number(number)) return false;
    const std::size_t pair = line.find_first_not_of(" \t\r", label_end);
    if (pair == std::string_view::npos) continue;
    const std::string_view token = line.substr(pair, line.find_first_of(" \t\r", pair) - pair);
    if (token.find(':') == std::string_view::npos) return false;
    pairs = true;
  }
  return pairs;
}

Compression packed_by_content(std::string_view start) {
  if (start.starts_with("\x1f\x8b")) return Compression::gzip;
  if (start.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  if (start.starts_with("BZh")) return Compression::bz2;
  if (start.starts_with("\x04\x22\x4d\x18")) return Compression::lz4;
  return Compression::none;
}

std::string beginning(const InputFile& file) {
  std::string start(std::size_t{64} << 10, '\0');
  start.resize(open_bytes(file, 0)->read(start.data(), start.size()));
  return start;
}

}  // namespace

Catalog discover(const std::vector<std::string>& paths, Format format) {
  if (paths.empty()) throw InputError("no data files given");
  std::vector<std::string> found;
  for (const std::string& path : paths) add_path(path, found);

  Catalog catalog;
  std::optional<Format> common;
  std::set<std::pair<dev_t, ino_t>> seen;  // "a.csv" and "./a.csv" are one file
  for (const std::string& path : found) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
    if (!seen.emplace(status.st_dev, status.st_ino).second) continue;
    InputFile file{path, static_cast<std::uint64_t>(status.st_size), Compression::none};
    if (file.bytes == 0) throw InputError(fmt::format("{}: the file is empty", path));
    const NameSays says = read_name(path);
    std::string start = beginning(file);
    file.compression = says.compression != Compression::none ? says.compression : packed_by_content(start);
    std::optional<Format> own = format == Format::automatic ? says.format : format;
    if (!own && start.starts_with("PAR1")) own = Format::parquet;
    if (own == Format::parquet) file.compression = Compression::none;
    if (!own && file.compression != Compression::none) start = beginning(file);
    if (!own) own = looks_like_libsvm(start) ? Format::libsvm : Format::csv;
    if (common && *common != *own) {
      throw InputError(
          fmt::format("{}: not of the same format as {}; give files of one format, or say which with "
                      "--format",
                      path, catalog.files.front().path));
    }
    common = own;
    catalog.files.push_back(file);
  }
  catalog.format = *common;
  return catalog;
}

}  // namespace muster
