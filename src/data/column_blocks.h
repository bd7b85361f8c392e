// Shards cut by columns, and as bytes, for workers that hold blocks of the columns.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "data/encoding.h"
#include "data/shard.h"

namespace muster {

// Where `blocks` blocks of the encoding's features begin, and where the last ends: blocks + 1 numbers. Equal shares,
// but a column's powers stay in its block, since they are recomputed from it; blocks may be empty.
std::vector<std::size_t> column_blocks(const Encoding& encoding, std::size_t blocks);

// The rows of a shard with columns [begin, end) alone, counted from begin.
Shard columns_between(const Shard& shard, std::size_t begin, std::size_t end);

// The way back: the columns of shards of the same rows side by side, and what stands beside the rows of `with_targets`,
// one of them. Others may have their columns alone.
Shard columns_together(const std::vector<Shard>& parts, std::size_t with_targets);

// Between ranks of one program on machines of one byte order.
Buffer to_bytes(const Shard& shard);
Shard shard_from_bytes(const Buffer& bytes);

}  // namespace muster
