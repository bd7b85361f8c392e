// Files that appear whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// Text on its way to a file. Until commit() the old file, or none, is what others see; destroyed without commit(), it
// leaves nothing behind.
//
// Regular files (a symbolic link's target) are staged without a name where the file system allows, so that even a
// killed process leaves nothing, else under a temporary name in the same directory; the mode of a replaced file is
// kept. Devices, pipes and sockets are written in place: for them commit() only closes. The path "-" is standard
// output.
//
// Failure: every function throws InputError "cannot write PATH: cause". Threads: one at a time.
class AtomicFile {
 public:
  enum class Staging { automatic, named };

  explicit AtomicFile(std::string path, Staging staging = Staging::automatic);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view text);
  // At an offset, of a regular file; bytes that are never written are 0.
  void write_at(std::uint64_t offset, std::string_view text);
  // Syncs, renames over the file, syncs the directory. Nothing may be written after it.
  void commit();

 private:
  void open_in_place();
  void open_staged(Staging staging);
  bool open_unnamed();
  void open_named();
  void give_name();
  [[noreturn]] void fail(int cause) const;

  std::string path_;       // as the caller wrote it
  std::string target_;     // where symbolic links lead
  std::string directory_;  // of target_
  std::string temporary_;  // empty: there is none to remove
  int descriptor_ = -1;
  bool in_place_ = false;
};

// Replaces the file at path by text, as AtomicFile does.
void write_file_atomically(const std::string& path, std::string_view text);

// Throws what writing path would throw before its first byte: no such directory, no permission, a directory itself.
// Leaves nothing behind and does not touch an existing file.
void check_writable(const std::string& path);

}  // namespace muster
