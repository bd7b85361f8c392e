// A broken contract is a bug: it aborts with a message, in release too. Bad input and lost peers throw instead
// (muster/error.h).
#pragma once

namespace muster {

// Prints "file:line: message (condition)" to stderr and exits with code 5 by way of abort handlers. Does not return.
[[noreturn]] void fail_check(const char* file, int line, const char* condition, const char* message);

}  // namespace muster

#define MUSTER_CHECK(condition, message) \
  (static_cast<bool>(condition) ? void(0) : ::muster::fail_check(__FILE__, __LINE__, #condition, message))
