#include "base/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace muster {
namespace {

std::string directory_for_temporary_files() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

Descriptor open_without_name(const std::string& directory) {
#ifdef O_TMPFILE
  if (Descriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); file.get() >= 0) return file;
#endif
  std::string name = directory + "/muster-XXXXXX";  // where the file system has no files without names
  Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() >= 0) ::unlink(name.c_str());
  return file;
}

}  // namespace

TemporaryFile::TemporaryFile(std::uint64_t bytes)
    : directory_(directory_for_temporary_files()), file_(open_without_name(directory_)) {
  if (file_.get() < 0) fail(errno);
  struct statfs system {};
  if (::fstatfs(file_.get(), &system) != 0) fail(errno);
  if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC)
    throw NoTemporaryFile(fmt::format("{}: its files are kept in memory", directory_));
  const double free = static_cast<double>(system.f_bavail) * static_cast<double>(system.f_bsize);
  if (free < 1.1 * static_cast<double>(bytes)) fail(ENOSPC);
}

void TemporaryFile::write_at(std::uint64_t offset, std::string_view text) {
  if (const int cause = write_all_at(file_.get(), offset, text)) fail(cause);
}

void TemporaryFile::fail(int cause) const {
  throw NoTemporaryFile(fmt::format("{}: {}", directory_, std::strerror(cause)));
}

}  // namespace muster
