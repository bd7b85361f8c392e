// The future of a simulation: events ordered by (time, tie, sequence), a four-ary heap.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.h"

namespace muster {

struct Event {
  Time at = 0;
  std::uint32_t tie = 0;      // seeded; equal for one source at one instant, so that its messages keep their order
  std::uint32_t subject = 0;  // what it is about, by kind
  std::uint64_t sequence_and_kind = 0;

  std::uint32_t kind() const { return static_cast<std::uint32_t>(sequence_and_kind & 7); }
  bool before(const Event& other) const {
    if (at != other.at) return at < other.at;
    if (tie != other.tie) return tie < other.tie;
    return sequence_and_kind < other.sequence_and_kind;
  }
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Event& top() const { return heap_.front(); }

  // kind < 8.
  void push(Time at, std::uint32_t tie, std::uint32_t kind, std::uint32_t subject) {
    const Event event{at, tie, subject, (++sequence_ << 3) | kind};
    std::size_t i = heap_.size();
    heap_.push_back(event);
    while (i > 0) {
      const std::size_t parent = (i - 1) / 4;
      if (!event.before(heap_[parent])) break;
      heap_[i] = heap_[parent];
      i = parent;
    }
    heap_[i] = event;
  }

  Event pop() {
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    const std::size_t count = heap_.size();
    std::size_t i = 0;
    while (4 * i + 1 < count) {
      std::size_t least = 4 * i + 1;
      const std::size_t end = least + 4 < count ? least + 4 : count;
      for (std::size_t child = least + 1; child < end; ++child) {
        if (heap_[child].before(heap_[least])) least = child;
      }
      if (!heap_[least].before(last)) break;
      heap_[i] = heap_[least];
      i = least;
    }
    if (count > 0) heap_[i] = last;
    return first;
  }

 private:
  std::vector<Event> heap_;
  std::uint64_t sequence_ = 0;
};

// One alarm per rank, changed in place, so that deadlines no longer waited for leave nothing behind.
class Alarms {
 public:
  explicit Alarms(std::size_t ranks) : at_(ranks, 0), tie_(ranks, 0), place_(ranks, kNone) {}

  bool empty() const { return heap_.empty(); }
  std::uint32_t top() const { return heap_.front(); }
  Time top_time() const { return at_[heap_.front()]; }
  std::uint32_t top_tie() const { return tie_[heap_.front()]; }
  bool is_set(std::uint32_t rank) const { return place_[rank] != kNone; }
  Time time(std::uint32_t rank) const { return at_[rank]; }

  void set(std::uint32_t rank, Time at, std::uint32_t tie) {
    at_[rank] = at;
    tie_[rank] = tie;
    if (place_[rank] == kNone) {
      place_[rank] = heap_.size();
      heap_.push_back(rank);
    }
    sift_down(sift_up(place_[rank]));
  }

  void clear(std::uint32_t rank) {
    const std::size_t i = place_[rank];
    if (i == kNone) return;
    place_[rank] = kNone;
    const std::uint32_t last = heap_.back();
    heap_.pop_back();
    if (last == rank) return;
    heap_[i] = last;
    place_[last] = i;
    sift_down(sift_up(i));
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  bool before(std::uint32_t a, std::uint32_t b) const {
    if (at_[a] != at_[b]) return at_[a] < at_[b];
    if (tie_[a] != tie_[b]) return tie_[a] < tie_[b];
    return a < b;
  }
  void exchange(std::size_t i, std::size_t j) {
    std::swap(heap_[i], heap_[j]);
    place_[heap_[i]] = i;
    place_[heap_[j]] = j;
  }
  std::size_t sift_up(std::size_t i) {
    while (i > 0 && before(heap_[i], heap_[(i - 1) / 2])) {
      exchange(i, (i - 1) / 2);
      i = (i - 1) / 2;
    }
    return i;
  }
  void sift_down(std::size_t i) {
    while (true) {
      std::size_t least = i;
      for (const std::size_t child : {2 * i + 1, 2 * i + 2}) {
        if (child < heap_.size() && before(heap_[child], heap_[least])) least = child;
      }
      if (least == i) return;
      exchange(i, least);
      i = least;
    }
  }

  std::vector<Time> at_;
  std::vector<std::uint32_t> tie_;
  std::vector<std::size_t> place_;
  std::vector<std::uint32_t> heap_;
};

// What orders events of the same instant. One source keeps its order among its own: the value depends on the instant
// and the source only.
inline std::uint32_t tie_break(std::uint64_t seed, std::uint32_t source, Time at) {
  std::uint64_t x = seed ^ (std::bit_cast<std::uint64_t>(at) * 0x9e3779b97f4a7c15) ^ (std::uint64_t{source} << 32);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return static_cast<std::uint32_t>(x >> 32);
}

}  // namespace muster
