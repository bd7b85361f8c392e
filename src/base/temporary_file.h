// A file for what one run needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "muster/error.h"

namespace muster {

// There is no temporary file, or no more room in it.
struct NoTemporaryFile : InputError {
  using InputError::InputError;
};

// It has no name, so nothing is left of it however the run ends. It lies in the directory that TMPDIR names, else in
// /var/tmp, the system's place for large ones. Functions throw NoTemporaryFile "DIRECTORY: cause".
class TemporaryFile {
 public:
  // Refuses a directory that is kept in memory, and one where less than so many bytes and a tenth more are free.
  explicit TemporaryFile(std::uint64_t bytes);

  const std::string& directory() const { return directory_; }
  void write_at(std::uint64_t offset, std::string_view text);
  // To read; the file is there as long as this is open or mapped.
  Descriptor release() { return std::move(file_); }

 private:
  [[noreturn]] void fail(int cause) const;

  std::string directory_;
  Descriptor file_;
};

}  // namespace muster
