#include "output.h"

#include "muster/muster.h"

namespace muster::cli {

void print(const std::string& text) {
  write_file("-", text);
}

bool is_standard_output(const std::string& path) {
  return path == "-" || path == "/dev/stdout" || path == "/dev/fd/1" || path == "/proc/self/fd/1";
}

}  // namespace muster::cli
