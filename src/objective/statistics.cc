#include "objective/statistics.h"

#include "base/check.h"
#include "objective/linear_rows.h"
#include "objective/row_blocks.h"

namespace muster {
namespace {

// Share of values that are there up to which sparse rows go entry by entry. Else the product of a pair of entries, at
// an address of its own, costs more than dense rows do: about a hundred operations of the panels' kernel, or six of the
// double-double one.
constexpr double kEntriesAtMost = 0.1;
constexpr double kEntriesAtMostInPairs = 0.4;

bool entries_are_few(const RowShape& shape, double share) {
  return shape.sparse && static_cast<double>(shape.entries) <=
                             share * static_cast<double>(shape.rows) * static_cast<double>(shape.cols);
}

}  // namespace

Work LinearRows::accumulate(Statistics& statistics) {
  MUSTER_CHECK(statistics.columns == columns(), "statistics of the rows' columns");
  MUSTER_CHECK(statistics.centre.size() == columns() + 1, "one centre a column and the target");
  MUSTER_CHECK(shape().has_targets, "statistics need targets");
  const KernelTable& table = kernel_table(instruction_set_);
  const bool in_pairs = statistics.precision == Statistics::Precision::double_double;
  statistics.sums.assign(statistics.entries() * (in_pairs ? 2 : 1), 0.0);
  if (entries_are_few(shape(), in_pairs ? kEntriesAtMostInPairs : kEntriesAtMost)) {
    return accumulate_entries(source_, executor_, table, statistics);
  }
  if (in_pairs) return accumulate_double_double(source_, executor_, table, statistics);
  return accumulate_panels(source_, executor_, table, statistics);
}

}  // namespace muster
