// From Arrow's columns to a TableBatch. Included by the readers only.
#pragma once

#include <arrow/type_fwd.h>

#include <vector>

#include "data/table_reader.h"

namespace muster {

// Columns of table in the order of wanted: float64 for numbers, dictionary<int32, utf8> for text.
void copy_columns(const arrow::Table& table, const std::vector<WantedColumn>& wanted, TableBatch& batch);

}  // namespace muster
