// A file in the address space, to be read where it lies.
//
// A mapping is of a file that others may write to. Whoever replaces a file as this program does, by a new one of the
// same name, does it no harm: the mapped one lives on. One that is written to in place, or cut short, is noticed by its
// time and size, and check_unchanged() says so. Touching what was cut off raises SIGBUS, which would end the process: a
// handler puts zeros there instead, so that the check is reached. (Reading into memory needs no handler; but it took
// forty times as long as mapping when the file was in the page cache, and every run has a copy of its own. Leases keep
// writers out for a while only, and ask the file's owner.) The handler is the process's, from the first mapping on; a
// SIGBUS of another's making goes to the handler before it, and a program that later sets its own gives this up.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/descriptor.h"

namespace muster {

struct MappedRange;

// Threads: any.
class MappedFile {
 public:
  // name: for sentences. Null where the file can not be mapped, an empty one among them.
  static std::shared_ptr<const MappedFile> map(Descriptor file, std::string name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Throws InputError where the file is no longer as it was mapped.
  void check_unchanged() const;

  // Of bytes of the file. Has the system begin to read them.
  static void expect(std::span<const std::byte> bytes);
  // They are there at the first touch.
  static void fetch(std::span<const std::byte> bytes);
  // They no longer count as memory of this process, until they are touched again.
  static void release(std::span<const std::byte> bytes);

 private:
  MappedFile(Descriptor file, std::string name, const struct stat& status, std::span<const std::byte> bytes);

  Descriptor file_;
  std::string name_;
  struct stat status_;
  std::span<const std::byte> bytes_;
  MappedRange* range_;  // for the handler of SIGBUS
};

}  // namespace muster
