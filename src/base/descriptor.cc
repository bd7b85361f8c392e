#include "base/descriptor.h"

#include <unistd.h>

#include <cerrno>

namespace muster {

Descriptor::~Descriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int write_all_at(int descriptor, std::uint64_t offset, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::pwrite(descriptor, text.data(), text.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return 0;
}

}  // namespace muster
