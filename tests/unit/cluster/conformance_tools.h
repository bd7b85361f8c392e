// Checking on a rank, for the checks of conformance.h.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "cluster/endpoint.h"
#include "conformance.h"

// Throws where the condition does not hold: to gtest's macros, a rank in another process means nothing.
#define REQUIRE(condition)                                                                              \
  do {                                                                                                  \
    if (!(condition)) throw std::logic_error(fmt::format("{}:{}: {}", __FILE__, __LINE__, #condition)); \
  } while (false)

namespace muster::conformance {

const std::vector<Check>& point_to_point_checks();
const std::vector<Check>& collective_checks();
const std::vector<Check>& group_checks();

// Far enough for any load of the machine; only a hang meets it.
inline Deadline soon(const Endpoint& endpoint) {
  return {endpoint.now() + 60};
}

inline Buffer number(std::int64_t value) {
  return Buffer::copy_of(std::span<const std::int64_t>(&value, 1));
}
inline std::int64_t number(const Buffer& buffer) {
  REQUIRE(buffer.size() == sizeof(std::int64_t));
  return buffer.as<std::int64_t>()[0];
}

// The expected exception, or a failed check.
template <class Error, class Function>
Error expect_throw(Function function, const char* file, int line) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  throw std::logic_error(fmt::format("{}:{}: nothing was thrown", file, line));
}

}  // namespace muster::conformance
