#include "cluster/collectives.h"

#include <algorithm>

#include "base/check.h"
#include "cluster/tags.h"
#include "cluster/tree_sum.h"

namespace muster {

namespace {

// Where a rank stands among the members.
class Positions {
 public:
  explicit Positions(const Endpoint& endpoint) : members_(endpoint.members()), mine_(of(endpoint.rank())) {}
  int count() const { return static_cast<int>(members_.size()); }
  int mine() const { return mine_; }
  int of(int rank) const {
    const auto found = std::lower_bound(members_.begin(), members_.end(), rank);
    MUSTER_CHECK(found != members_.end() && *found == rank, "a collective's root and callers must be members");
    return static_cast<int>(found - members_.begin());
  }
  int rank(int position) const { return members_[static_cast<std::size_t>(position)]; }

 private:
  const std::vector<int>& members_;
  int mine_;
};

Buffer receive_from(Endpoint& endpoint, int source, Tag tag, Deadline deadline) {
  return endpoint.receive({{source}, {tag}}, deadline).payload;
}

void send_values(Endpoint& endpoint, int to, Tag tag, std::span<const double> values) {
  endpoint.send(to, tag, Buffer::copy_of(values));
}

Buffer receive_values(Endpoint& endpoint, int source, Tag tag, std::size_t count, Deadline deadline) {
  Buffer payload = receive_from(endpoint, source, tag, deadline);
  MUSTER_CHECK(payload.size() == count * sizeof(double), "members called a collective with different sizes");
  return payload;
}

void receive_into(Endpoint& endpoint, int source, Tag tag, std::span<double> values, Deadline deadline) {
  const Buffer payload = receive_values(endpoint, source, tag, values.size(), deadline);
  const auto received = payload.as<double>();
  std::copy(received.begin(), received.end(), values.begin());
}

// Positions relative to the root form a binomial tree: the parent of r is r less its lowest set bit.
void broadcast_from(Endpoint& endpoint, const Positions& positions, std::span<double> values, int root, Tag tag,
                    Deadline deadline) {
  const int count = positions.count();
  const int relative = (positions.mine() - root + count) % count;
  const auto rank_at = [&](int r) { return positions.rank((r + root) % count); };
  int bit = 1;
  while (bit < count && (relative & bit) == 0) bit <<= 1;
  if (relative != 0) {
    receive_into(endpoint, rank_at(relative - bit), tag, values, deadline);
  }
  for (bit >>= 1; bit > 0; bit >>= 1) {
    if (relative + bit < count) send_values(endpoint, rank_at(relative + bit), tag, values);
  }
}

// The sum ends at position 0.
void reduce_to_first(Endpoint& endpoint, const Positions& positions, std::span<double> values, ReduceOp op, Tag tag,
                     Deadline deadline) {
  const int mine = positions.mine();
  for (int bit = 1; bit < positions.count(); bit <<= 1) {
    if ((mine & bit) != 0) return send_values(endpoint, positions.rank(mine - bit), tag, values);
    if (mine + bit >= positions.count()) continue;
    const Buffer payload = receive_values(endpoint, positions.rank(mine + bit), tag, values.size(), deadline);
    combine(values, payload.as<double>(), op);
  }
}

}  // namespace

void tree_broadcast(Endpoint& endpoint, std::span<double> values, int root, Deadline deadline) {
  const Positions positions(endpoint);
  broadcast_from(endpoint, positions, values, positions.of(root), kBroadcastTag, deadline);
}

void tree_reduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  const Positions positions(endpoint);
  reduce_to_first(endpoint, positions, values, op, kReduceTag, deadline);
  // One hop more for another root, so that the tree, and with it the sum, stays the same.
  const int root_position = positions.of(root);
  if (root_position == 0) return;
  if (positions.mine() == 0) send_values(endpoint, root, kReduceTag, values);
  if (positions.mine() == root_position) receive_into(endpoint, positions.rank(0), kReduceTag, values, deadline);
}

void tree_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline) {
  const Positions positions(endpoint);
  reduce_to_first(endpoint, positions, values, op, kAllreduceTag, deadline);
  broadcast_from(endpoint, positions, values, 0, kAllreduceTag, deadline);
}

void star_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline) {
  const Positions positions(endpoint);
  const int server = positions.rank(0);
  if (positions.mine() != 0) {
    send_values(endpoint, server, kAllreduceTag, values);
    receive_into(endpoint, server, kAllreduceTag, values, deadline);
    return;
  }
  for (int p = 1; p < positions.count(); ++p) {
    const Buffer payload = receive_values(endpoint, positions.rank(p), kAllreduceTag, values.size(), deadline);
    combine(values, payload.as<double>(), op);
  }
  for (int p = 1; p < positions.count(); ++p) send_values(endpoint, positions.rank(p), kAllreduceTag, values);
}

void ring_allreduce(Endpoint& endpoint, std::span<double> values, ReduceOp op, Deadline deadline) {
  const Positions positions(endpoint);
  const int m = positions.count(), mine = positions.mine();
  const int next = positions.rank((mine + 1) % m), previous = positions.rank((mine + m - 1) % m);
  const std::size_t unit = op == ReduceOp::sum_double_double ? 2 : 1;
  const auto begin_of = [&](int p) {
    return values.size() / unit * static_cast<std::size_t>(p) / static_cast<std::size_t>(m) * unit;
  };
  const auto part = [&](int p) {
    const int in_ring = (p + 2 * m) % m;
    return values.subspan(begin_of(in_ring), begin_of(in_ring + 1) - begin_of(in_ring));
  };
  for (int step = 0; step < 2 * (m - 1); ++step) {
    send_values(endpoint, next, kAllreduceTag, part(mine - step));
    const std::span<double> into = part(mine - step - 1);
    if (step >= m - 1) {
      receive_into(endpoint, previous, kAllreduceTag, into, deadline);
      continue;
    }
    const Buffer payload = receive_values(endpoint, previous, kAllreduceTag, into.size(), deadline);
    combine(into, payload.as<double>(), op);
  }
}

void allreduce(Endpoint& endpoint, ReducePattern pattern, std::span<double> values, ReduceOp op, Deadline deadline) {
  switch (pattern) {
    case ReducePattern::star:
      return star_allreduce(endpoint, values, op, deadline);
    case ReducePattern::tree:
      return tree_allreduce(endpoint, values, op, deadline);
    case ReducePattern::ring:
      return ring_allreduce(endpoint, values, op, deadline);
    case ReducePattern::automatic:
    case ReducePattern::engine:
      return endpoint.allreduce(values, op, deadline);
  }
}

std::vector<Buffer> flat_gather(Endpoint& endpoint, Buffer mine, int root, Deadline deadline) {
  const Positions positions(endpoint);
  if (endpoint.rank() != root) {
    endpoint.send(root, kGatherTag, std::move(mine));
    return {};
  }
  std::vector<Buffer> all(static_cast<std::size_t>(positions.count()));
  for (int p = 0; p < positions.count(); ++p) {
    if (positions.rank(p) == root) continue;
    all[static_cast<std::size_t>(p)] = receive_from(endpoint, positions.rank(p), kGatherTag, deadline);
  }
  all[static_cast<std::size_t>(positions.mine())] = std::move(mine);
  return all;
}

void dissemination_barrier(Endpoint& endpoint, Deadline deadline) {
  const Positions positions(endpoint);
  const int count = positions.count();
  for (int distance = 1; distance < count; distance <<= 1) {
    endpoint.send(positions.rank((positions.mine() + distance) % count), kBarrierTag, Buffer());
    receive_from(endpoint, positions.rank((positions.mine() - distance + count) % count), kBarrierTag, deadline);
  }
}

void Endpoint::broadcast(std::span<double> values, int root, Deadline deadline) {
  tree_broadcast(*this, values, root, deadline);
}
void Endpoint::reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) {
  tree_reduce(*this, values, op, root, deadline);
}
void Endpoint::allreduce(std::span<double> values, ReduceOp op, Deadline deadline) {
  tree_allreduce(*this, values, op, deadline);
}
std::vector<Buffer> Endpoint::gather(Buffer mine, int root, Deadline deadline) {
  return flat_gather(*this, std::move(mine), root, deadline);
}
void Endpoint::barrier(Deadline deadline) {
  dissemination_barrier(*this, deadline);
}

}  // namespace muster
