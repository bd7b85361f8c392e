#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/descriptor.h"
#include "muster/error.h"

namespace muster {

namespace {

constexpr const char* kStandardOutput = "-";

// The open descriptor a path stands for, or -1. Opening such a path anew would begin at the start of a file that others
// append to.
int descriptor_named_by(const std::string& path) {
  if (path == kStandardOutput || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    int descriptor = -1;
    const char* end = path.data() + path.size();
    if (path.rfind(folder, 0) != 0) continue;
    const auto [rest, error] = std::from_chars(path.data() + folder.size(), end, descriptor);
    if (error == std::errc() && rest == end) return descriptor;
  }
  return -1;
}

// The file a path means: the end of a chain of symbolic links, which need not exist.
std::string follow_links(const std::string& path) {
  constexpr int kMostLinks = 40;  // as Linux; a longer chain is left for open() to refuse
  std::filesystem::path file = path;
  std::error_code error;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(file, error); ++i) {
    const std::filesystem::path link = std::filesystem::read_symlink(file, error);
    if (error) break;
    file = file.parent_path() / link;  // an absolute link replaces the whole
  }
  return file.string();
}

std::string unused_name(const std::string& directory) {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}/.muster-{}-{}.partial", directory, ::getpid(), counter.fetch_add(1));
}

// Syncing a pipe or a terminal is refused with EINVAL, and means nothing.
int sync_descriptor(int descriptor) {
  if (::fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS) return 0;
  return errno;
}

}  // namespace

AtomicFile::AtomicFile(std::string path, Staging staging) : path_(std::move(path)) {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (descriptor_named_by(path_) >= 0 || (exists && !S_ISREG(status.st_mode))) {
    open_in_place();
    return;
  }
  if (path_.empty()) fail(ENOENT);
  if (exists && ::access(path_.c_str(), W_OK) != 0) fail(errno);
  target_ = follow_links(path_);
  directory_ = std::filesystem::path(target_).parent_path().string();
  if (directory_.empty()) directory_ = ".";
  if (target_.back() == '/') fail(EISDIR);
  open_staged(staging);
  if (exists) ::fchmod(descriptor_, status.st_mode & 07777);  // best effort: the file may be another user's
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::open_in_place() {
  in_place_ = true;
  const int open_already = descriptor_named_by(path_);
  descriptor_ =
      open_already >= 0 ? ::fcntl(open_already, F_DUPFD_CLOEXEC, 0) : ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(errno);
}

void AtomicFile::open_staged(Staging staging) {
  if (staging == Staging::automatic && open_unnamed()) return;
  open_named();
}

// False where the file system or the kernel can not do it; open_named() then finds the true cause, if any.
bool AtomicFile::open_unnamed() {
#ifdef O_TMPFILE
  descriptor_ = ::open(directory_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return false;
  // Naming it later goes through /proc; without that, a file without a name could never be saved.
  if (::access(fmt::format("/proc/self/fd/{}", descriptor_).c_str(), F_OK) == 0) return true;
  ::close(descriptor_);
  descriptor_ = -1;
#endif
  return false;
}

void AtomicFile::open_named() {
  do {
    temporary_ = unused_name(directory_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) {
    const int cause = errno;
    temporary_.clear();  // not ours to remove
    fail(cause);
  }
}

// A link can not replace a file, so the staged one gets a temporary name for as long as the rename takes.
void AtomicFile::give_name() {
  const std::string from = fmt::format("/proc/self/fd/{}", descriptor_);
  std::string name;
  int result = 0;
  do {
    name = unused_name(directory_);
    result = ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
  } while (result != 0 && errno == EEXIST);
  if (result != 0) fail(errno);
  temporary_ = name;
}

void AtomicFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write_at(std::uint64_t offset, std::string_view text) {
  if (const int cause = write_all_at(descriptor_, offset, text)) fail(cause);
}

void AtomicFile::commit() {
  if (const int cause = sync_descriptor(descriptor_)) fail(cause);
  if (!in_place_ && temporary_.empty()) give_name();
  // Network file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(errno);
  if (in_place_) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
  // The file is whole and in place; a directory that can not be synced is not worth failing for.
  const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

void AtomicFile::fail(int cause) const {
  const char* shown = path_ == kStandardOutput ? "standard output" : path_.empty() ? "''" : path_.c_str();
  throw InputError(fmt::format("cannot write {}: {}", shown, std::strerror(cause)));
}

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void check_writable(const std::string& path) {
  AtomicFile file(path);
}

}  // namespace muster
