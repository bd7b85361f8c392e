#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace muster {

void fail_check(const char* file, int line, const char* condition, const char* message) {
  std::fprintf(stderr, "muster: bug: %s (%s at %s:%d)\n", message, condition, file, line);
  std::fflush(nullptr);
  std::_Exit(5);
}

}  // namespace muster
