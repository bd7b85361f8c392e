// load() of LIBSVM files: byte ranges are cut at line breaks; the base and the number of features are agreed.
#include <optional>

#include "data/agree.h"
#include "data/direct_entries.h"
#include "data/libsvm_blocks.h"
#include "data/libsvm_facts.h"
#include "data/load_internal.h"
#include "data/row_claim.h"

namespace muster {

Dataset load_libsvm(const LoadRequest& request, const Catalog& catalog, const Parts& parts, Peers& peers,
                    const ProgressCallback& progress) {
  refuse_column_options(request);
  const std::vector<Piece>& own = parts[static_cast<std::size_t>(peers.rank())];
  const std::uint32_t lowest = request.options.libsvm_base == LibsvmBase::one ? 1 : 0;
  ProgressMeter meter(progress, catalog, own);
  RowClaim claim(request.budget);
  std::optional<DirectEntries> entries(std::in_place, request.options.storage,
                                       request.options.libsvm_base == LibsvmBase::zero ? 0 : 1);
  const auto all = gather_or_throw(peers, [&] {
    LibsvmFacts facts;
    LibsvmReader reader(catalog, own, lowest, kHighestLibsvmIndex);
    LibsvmRows rows;
    while (reader.next(rows)) {
      if (entries) {
        const double before = entries->bytes();
        entries->add(rows);
        if (!claim.add(entries->bytes() - before)) entries.reset();
      }
      facts.rows_read += rows.rows();
      note_indices(rows, facts);
      note_labels(rows, enough_levels(request.target), facts.labels);
      meter.at(reader.bytes_read(), static_cast<std::int64_t>(facts.rows_read));
      peers.progress();
    }
    meter.finish(static_cast<std::int64_t>(facts.rows_read));
    facts.rows_counted = reader.rows_counted();
    return pack(facts);
  });
  release_free_memory();  // before the matrix grows
  const LibsvmFacts facts = merge_facts(all);
  check_facts(facts, catalog);

  Dataset data;
  encode_libsvm(request, facts, data);
  note_unsplittable(catalog, reader_count(request, peers.size()), data.summary.notes);
  if (!agree_to_hold(claim, 0, peers, data)) entries.reset();
  if (!entries) entries.emplace(request.options.storage, data.encoding.libsvm_base);
  data.shard = entries->take(data.encoding, entries->rows());
  return data;
}

}  // namespace muster
