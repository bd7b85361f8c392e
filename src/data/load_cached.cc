// load() with a cache of the parsed rows beside the data.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/atomic_file.h"
#include "data/agree.h"
#include "data/load_internal.h"
#include "data/row_cache.h"
#include "data/streamed_rows.h"
#include "muster/error.h"

namespace muster {
namespace {

// What the rows of a part follow from, and the place of their cache: beside the first file, named after it.
struct CacheName {
  std::string path;
  std::uint64_t key;
};

CacheName cache_name(const LoadRequest& request, const Catalog& catalog, int part, int parts) {
  const DataOptions& options = request.options;
  Packer packer;
  packer.text(kRowCacheForm);
  for (const auto* names : {&options.features, &options.drop, &options.categorical}) {
    packer.number(names->size());
    for (const std::string& name : *names) packer.text(name);
  }
  for (const std::string* name :
       {&options.target, &options.weight, &options.offset, &request.positive, &request.fold_column})
    packer.text(*name);
  packer.number(options.polynomials.size());
  for (const auto& [name, degree] : options.polynomials) {
    packer.text(name);
    packer.number(static_cast<std::uint64_t>(degree));
  }
  for (const int choice :
       {static_cast<int>(catalog.format), static_cast<int>(options.missing), static_cast<int>(options.libsvm_base),
        static_cast<int>(options.storage), static_cast<int>(request.target), part, parts})
    packer.number(static_cast<std::uint64_t>(choice));
  for (const InputFile& file : catalog.files) packer.text(file.path);
  const std::string asked = packer.take();
  Packer now;
  now.text(asked);
  for (const InputFile& file : catalog.files) {
    now.number(file.bytes);
    std::error_code unreadable;  // whoever opens the file says why
    now.number(
        static_cast<std::uint64_t>(std::filesystem::last_write_time(file.path, unreadable).time_since_epoch().count()));
  }
  const std::filesystem::path first = catalog.files.front().path;
  const std::string name = fmt::format(".{}.{:016x}.muster", first.filename().string(), hash(asked));
  return {(first.parent_path() / name).string(), hash(now.take())};
}

bool all_say_yes(Peers& peers, bool mine) {
  const auto said = peers.all_gather(mine ? "yes" : "");
  return std::none_of(said.begin(), said.end(), [](const std::string& one) { return one.empty(); });
}

std::vector<Piece> own_pieces(const LoadRequest& request, const Inputs& inputs, Peers& peers) {
  Parts parts = cut(inputs, reader_count(request, peers.size()));
  parts.resize(static_cast<std::size_t>(peers.size()));
  return parts[static_cast<std::size_t>(peers.rank())];
}

// Rows of the cache in memory, or streamed from it where some process has no room for them. Collective.
void take_rows(const LoadRequest& request, const Inputs& inputs, std::shared_ptr<const RowCache> cache, Peers& peers,
               Dataset& data) {
  const double bytes = cache->shape().bytes();
  const bool taken = request.budget == nullptr || request.budget->take(bytes);
  data.streamed = !all_say_yes(peers, taken);
  if (!data.streamed) {
    data.shard = cache->rows();
    return;
  }
  if (taken && request.budget != nullptr) request.budget->give_back(bytes);
  data.shard = cache->no_rows();
  data.cached = std::make_shared<const PartPlan>(
      PartPlan{inputs.catalog, own_pieces(request, inputs, peers), std::move(cache), {}, {}, 0});
}

void write(const LoadRequest& request, const CacheName& name, const Dataset& data, int rank, Peers& peers) {
  const auto progress = [&] { peers.progress(); };
  const auto writing = [](const auto& act) {
    try {
      act();
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: drop --cache, which keeps the parsed rows there", error.what()));
    }
  };
  std::optional<AtomicFile> file;
  writing([&] { file.emplace(name.path); });
  const auto write_at = [&](std::uint64_t offset, std::string_view bytes) {
    writing([&] { file->write_at(offset, bytes); });
  };
  if (data.streamed) {
    const int readers = reader_count(request, peers.size());
    StreamedRows rows(request, data.encoding, readers,
                      {.window_bytes = request.window_bytes, .while_waiting = progress});
    if (rank < readers) rows.add(rank);
    write_row_cache(write_at, name.key, data, rows, progress);
  } else {
    HeldRows rows(data.shard);
    write_row_cache(write_at, name.key, data, rows, progress);
  }
  writing([&] { file->commit(); });
}

}  // namespace

Dataset load_with_cache(const LoadRequest& asked, const Inputs& inputs, Peers& peers,
                        const ProgressCallback& progress) {
  LoadRequest request = asked;
  request.unread_features = 0;
  const CacheName name = cache_name(request, inputs.catalog, peers.rank(), reader_count(request, peers.size()));
  const auto tick = [&] { peers.progress(); };
  std::shared_ptr<const RowCache> cache = RowCache::open(name.path, name.key, tick);
  if (all_say_yes(peers, cache != nullptr)) {
    Dataset data;
    data.encoding = cache->encoding();
    data.summary = cache->summary();
    take_rows(request, inputs, std::move(cache), peers, data);
    data.summary.notes.push_back(data.streamed ? "the rows do not fit (--memory): every pass reads them from the cache"
                                               : "the rows are those of the cache (--cache)");
    return data;
  }
  Dataset data = load_inputs(request, inputs, peers, progress);
  const bool streamed = data.streamed;
  if (streamed) data.summary.notes.pop_back();
  together(peers, [&] { write(request, name, data, peers.rank(), peers); });
  if (streamed) {
    together(peers, [&] {
      cache = RowCache::open(name.path, name.key, tick);
      if (!cache) throw InputError(fmt::format("{}: the cache was changed as soon as it was written", name.path));
    });
    data.cached = std::make_shared<const PartPlan>(
        PartPlan{inputs.catalog, own_pieces(request, inputs, peers), std::move(cache), {}, {}, 0});
  }
  data.summary.notes.push_back("the parsed rows are kept in a cache beside the data (--cache)");
  return data;
}

}  // namespace muster
