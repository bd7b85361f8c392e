#include "train/push_pull.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "muster/error.h"

namespace muster {
namespace {

class Writer {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { put_all(std::span<const T>(&value, 1)); }
  template <class T>
  void put_all(std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    const std::size_t before = bytes_.size();
    bytes_.resize(before + bytes.size());
    if (!bytes.empty()) std::memcpy(bytes_.data() + before, bytes.data(), bytes.size());
  }
  std::vector<std::byte>& bytes() { return bytes_; }
  Buffer finish() const { return Buffer::copy_of(std::span<const std::byte>(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  Reader(const Buffer& payload, const std::string& sender) : rest_(payload.data(), payload.size()), sender_(sender) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw ClusterError(fmt::format("{} sent a malformed message: {}", sender_, why));
  }
  template <class T>
  T get(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  bool flag(const char* what) {
    const auto value = get<std::uint8_t>(what);
    if (value > 1) refuse(fmt::format("{} is neither 0 nor 1", what));
    return value == 1;
  }
  template <class T>
  std::vector<T> get_all(std::size_t count, const char* what) {
    if (count > rest_.size() / sizeof(T)) refuse(fmt::format("it ends within its {}", what));
    std::vector<T> values(count);
    const auto bytes = take(count * sizeof(T), what);
    if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  void get_coded(const Codec& codec, std::span<double> values) {
    try {
      rest_ = rest_.subspan(codec.decode(rest_, values));
    } catch (const ClusterError& error) {
      refuse(error.what());
    }
    for (const double value : values)
      if (!std::isfinite(value)) refuse("a value is not finite");
  }
  void end() const {
    if (!rest_.empty()) refuse(fmt::format("{} bytes too many", rest_.size()));
  }

 private:
  std::span<const std::byte> take(std::size_t bytes, const char* what) {
    if (bytes > rest_.size()) refuse(fmt::format("it ends within its {}", what));
    const auto taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }
  std::span<const std::byte> rest_;
  const std::string& sender_;
};

void read_version(Reader& in) {
  const auto version = in.get<std::uint8_t>("version");
  if (version != kPushPullVersion)
    in.refuse(fmt::format("its format is version {}, not {}", version, kPushPullVersion));
}

void write_keys(Writer& out, std::span<const std::uint32_t> keys, KeyListCache& cache) {
  const std::uint64_t hash = KeyListCache::hash(keys);
  const bool held = cache.find(hash) != nullptr;
  out.put(hash);
  out.put(static_cast<std::uint32_t>(keys.size()));
  out.put<std::uint8_t>(held ? 0 : 1);
  if (held) return;
  out.put_all(keys);
  cache.remember(hash, keys);
}

std::vector<std::uint32_t> read_keys(Reader& in, KeyListCache& cache, std::size_t range_size) {
  const auto hash = in.get<std::uint64_t>("key list");
  const auto count = in.get<std::uint32_t>("key list");
  if (!in.flag("mark of a key list that follows")) {
    const std::vector<std::uint32_t>* held = cache.find(hash);
    if (held == nullptr || held->size() != count) in.refuse("it names a list of keys that was not sent before");
    return *held;
  }
  std::vector<std::uint32_t> keys = in.get_all<std::uint32_t>(count, "keys");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] >= range_size) in.refuse(fmt::format("key {} in a range of {} keys", keys[i], range_size));
    if (i > 0 && keys[i] <= keys[i - 1]) in.refuse("its keys do not ascend");
  }
  if (KeyListCache::hash(keys) != hash) in.refuse("its keys do not have their hash");
  if (cache.find(hash) != nullptr) in.refuse("it repeats a list of keys that is held");
  cache.remember(hash, keys);
  return keys;
}

}  // namespace

const std::vector<std::uint32_t>* KeyListCache::find(std::uint64_t hash) const {
  const auto found = lists_.find(hash);
  return found == lists_.end() ? nullptr : &found->second;
}

void KeyListCache::remember(std::uint64_t hash, std::span<const std::uint32_t> keys) {
  MUSTER_CHECK(!lists_.contains(hash), "a list of keys is remembered once");
  if (keys.size() > budget_) return;
  while (held_ + keys.size() > budget_) {
    const auto oldest = lists_.find(order_.front());
    held_ -= oldest->second.size();
    lists_.erase(oldest);
    order_.pop_front();
  }
  lists_.emplace(hash, std::vector<std::uint32_t>(keys.begin(), keys.end()));
  order_.push_back(hash);
  held_ += keys.size();
}

// The mixing step of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014) over the keys and their number.
std::uint64_t KeyListCache::hash(std::span<const std::uint32_t> keys) {
  std::uint64_t x = keys.size();
  for (const std::uint32_t key : keys) {
    x += 0x9e3779b97f4a7c15 + key;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    x ^= x >> 31;
  }
  return x;
}

Buffer encode(const Request& request, const Codec& codec, std::span<double> lost, KeyListCache& cache) {
  Writer out;
  out.put(kPushPullVersion);
  out.put(request.kind);
  out.put(request.clock);
  out.put<std::uint8_t>(request.dense);
  out.put<std::uint8_t>(request.news.has_value);
  out.put<std::uint8_t>(request.news.cancelled);
  out.put<std::uint8_t>(request.news.diverged);
  out.put(request.news.value);
  out.put(request.rows_weight);
  out.put(request.curvature);
  if (!request.dense) {
    write_keys(out, request.pushed_keys, cache);
    write_keys(out, request.wanted_keys, cache);
  }
  if (request.kind == Request::Kind::push_pull) {
    out.put_all(std::span<const double>(request.residuals));
    codec.encode(request.values, lost, out.bytes());
  }
  return out.finish();
}

Request decode_request(const Buffer& payload, const Codec& codec, KeyListCache& cache, std::size_t range_size,
                       std::size_t sums, const std::string& sender) {
  Reader in(payload, sender);
  read_version(in);
  Request request;
  request.kind = in.get<Request::Kind>("kind");
  if (request.kind < Request::Kind::pull || request.kind > Request::Kind::goodbye) in.refuse("its kind is unknown");
  request.clock = in.get<std::int64_t>("clock");
  request.dense = in.flag("mark of dense values");
  request.news.has_value = in.flag("mark of a value");
  request.news.cancelled = in.flag("mark of a stop");
  request.news.diverged = in.flag("mark of divergence");
  request.news.value = in.get<double>("value");
  request.rows_weight = in.get<double>("weight");
  request.curvature = in.get<double>("curvature");
  if (request.clock < 0 || !(request.rows_weight >= 0) || !(request.curvature >= 0) ||
      !std::isfinite(request.rows_weight + request.curvature))
    in.refuse("a count below 0 or a sum that is not finite");
  if (!request.dense) {
    request.pushed_keys = read_keys(in, cache, range_size);
    request.wanted_keys = read_keys(in, cache, range_size);
  }
  if (request.kind == Request::Kind::push_pull) {
    request.residuals = in.get_all<double>(sums, "residuals");
    for (const double residual : request.residuals)
      if (!std::isfinite(residual)) in.refuse("a sum that is not finite");
    request.values.resize(request.dense ? range_size : request.pushed_keys.size());
    in.get_coded(codec, request.values);
  }
  in.end();
  return request;
}

Buffer encode(const Answer& answer, const Codec& codec, std::span<double> lost) {
  Writer out;
  out.put(kPushPullVersion);
  out.put(answer.kind);
  out.put<std::uint8_t>(answer.changes);
  out.put<std::uint8_t>(answer.round.has_value());
  if (answer.round) {
    out.put(answer.round->round);
    out.put_all(
        std::span<const double>(std::vector<double>{answer.round->seconds, answer.round->objective,
                                                    answer.round->gradient_norm, answer.round->staleness.value_or(0)}));
  }
  if (answer.kind != Answer::Kind::membership) {
    out.put_all(std::span<const double>(answer.extras));
    (answer.changes ? codec : Codec({}))
        .encode(answer.values, answer.changes ? lost : std::span<double>(), out.bytes());
  }
  return out.finish();
}

Answer decode_answer(const Buffer& payload, const Codec& codec, std::size_t count, std::size_t sums,
                     const std::string& sender) {
  Reader in(payload, sender);
  read_version(in);
  Answer answer;
  answer.kind = in.get<Answer::Kind>("kind");
  if (answer.kind < Answer::Kind::values || answer.kind > Answer::Kind::membership) in.refuse("its kind is unknown");
  answer.changes = in.flag("mark of changes");
  const bool has_round = in.flag("mark of a round");
  if (has_round) {
    RoundReport round;
    round.round = in.get<std::int64_t>("round");
    const std::vector<double> numbers = in.get_all<double>(4, "round");
    round.seconds = numbers[0];
    round.objective = numbers[1];
    round.gradient_norm = numbers[2];
    round.staleness = numbers[3];
    answer.round = round;
  }
  if (answer.kind != Answer::Kind::membership) {
    answer.extras = in.get_all<double>(sums, "extras");
    answer.values.resize(count);
    in.get_coded(answer.changes ? codec : Codec({}), answer.values);
  }
  in.end();
  return answer;
}

}  // namespace muster
