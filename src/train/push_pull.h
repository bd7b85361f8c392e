// The wire format between workers and servers. Little-endian, as all machines of a run are; versioned; every length is
// checked against the message before it is used, and what can not be is a ClusterError that names the sender.
//
//     request   worker -> server   one per clock: what the last step found, and what the next one wants
//     answer    server -> worker   one per request
//     part      server -> coordinator   what the stopping criterion needs of a range (server_loop.cc)
//     replica   server -> server   the state of a range (likewise)
//
// A request is header | pushed key list | wanted key list | values; a key list is its hash, its length, and, the first
// time only, its keys: both ends remember the last lists within the same budget and forget the oldest first, so that
// the sender knows what the receiver still has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "cluster/endpoint.h"
#include "muster/report.h"
#include "train/codec.h"

namespace muster {

inline constexpr Tag kRequestTag = 0x5001;
inline constexpr Tag kAnswerTag = 0x5002;
inline constexpr Tag kPartTag = 0x5003;
inline constexpr Tag kReplicaTag = 0x5004;

inline constexpr std::uint8_t kPushPullVersion = 2;

// The lists of keys of one direction of one pair of ranks, bounded by the number of keys in them. Both ends do the same
// operations in the same order, so they always hold the same lists.
class KeyListCache {
 public:
  static constexpr std::size_t kBudgetKeys = std::size_t{4} << 20;  // 16 MiB
  explicit KeyListCache(std::size_t budget_keys = kBudgetKeys) : budget_(budget_keys) {}

  // Null where not held. The pointer holds until the next remember().
  const std::vector<std::uint32_t>* find(std::uint64_t hash) const;
  // A list above the budget is not kept; otherwise the oldest go until there is room. Not held before.
  void remember(std::uint64_t hash, std::span<const std::uint32_t> keys);

  static std::uint64_t hash(std::span<const std::uint32_t> keys);

 private:
  std::size_t budget_, held_ = 0;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> lists_;
  std::deque<std::uint64_t> order_;
};

// What a rank sends about itself with a request; of meaning to the coordinator.
struct WorkerNews {
  double value = 0;        // Σ s_i loss_i over the worker's rows, as of its last whole pass
  bool has_value = false;  // a pass has been made
  bool cancelled = false;  // its user asks for a stop
  bool diverged = false;   // its step found what is not finite; the values of this request are 0
};

struct Request {
  enum class Kind : std::uint8_t { pull = 1, push_pull, goodbye };
  Kind kind = Kind::pull;
  std::int64_t clock = 0;  // steps the worker has finished
  bool dense = true;
  WorkerNews news;
  double rows_weight = 0, curvature = 0;  // of the step: WorkerStep
  std::vector<double> residuals = {};     // likewise, where something is pushed
  // Keys count from the begin of the server's range. Decoded: they point into the cache or the request's own storage.
  std::vector<std::uint32_t> pushed_keys = {}, wanted_keys = {};  // not dense
  std::vector<double> values = {};                                // pushed
};

// Appends to a request's values what compression leaves of them; lost: as Codec::encode.
Buffer encode(const Request& request, const Codec& codec, std::span<double> lost, KeyListCache& cache);
// range_size: keys of the range; sums: RowFacts'; sender: names the rank in errors ("rank 2 on node2").
Request decode_request(const Buffer& payload, const Codec& codec, KeyListCache& cache, std::size_t range_size,
                       std::size_t sums, const std::string& sender);

struct Answer {
  enum class Kind : std::uint8_t {
    values = 1,  // go on
    finish,      // values too; say goodbye to all servers and meet the others
    membership,  // no values: a rank was lost; meet the survivors
  };
  Kind kind = Kind::values;
  bool changes = false;  // values are to be added to those of the last answer (compressed), else they are the model's
  std::vector<double> extras = {};   // ServerRule's, with values
  std::optional<RoundReport> round;  // to the lowest worker, when there is a new one
  std::vector<double> values = {};
};

// lost: of the changes, as Codec::encode; values that are no changes are sent as they are.
Buffer encode(const Answer& answer, const Codec& codec, std::span<double> lost);
// count: values that were asked for.
Answer decode_answer(const Buffer& payload, const Codec& codec, std::size_t count, std::size_t sums,
                     const std::string& sender);

}  // namespace muster
