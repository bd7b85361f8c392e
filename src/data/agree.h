// How workers come to one mind: every step that can fail on one of them ends in a gather that all take part in, so that
// all go on or all throw the same sentence.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/peers.h"

namespace muster {

// Collective. Runs local on this worker and returns what it returned on each, by rank. Where it threw InputError on
// any, every worker throws the sentence of the lowest such rank: ranks hold the files in order, so that is the earliest
// place. Other exceptions pass through at once.
std::vector<std::string> gather_or_throw(Peers& peers, const std::function<std::string()>& local);

// The same for steps with nothing to tell.
void together(Peers& peers, const std::function<void()>& local);

// Values as bytes for a gather, and back, in the same order. Both ends are the same program.
class Packer {
 public:
  void number(std::uint64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void real(double value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number() { return fixed<std::uint64_t>(); }
  double real() { return fixed<double>(); }
  std::string_view text() { return piece(number()); }

 private:
  std::string_view piece(std::size_t size);
  template <class T>
  T fixed() {
    T value;
    std::memcpy(&value, piece(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view bytes_;
};

}  // namespace muster
