// A file written by streaming that appears whole or not at all.
#pragma once

#include <memory>
#include <ostream>
#include <string>

namespace muster {

// Until commit() the old file, or none, is what others see; destroyed without it, nothing is left behind. The path "-"
// is standard output; it, devices and pipes are written in place.
//
// Failure: the constructor, writes to stream() and commit() throw InputError "cannot write PATH: cause".
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();

  std::ostream& stream();
  void commit();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// Throws what writing path would throw before its first byte. Leaves nothing behind; an existing file is not touched.
void check_writable(const std::string& path);

}  // namespace muster
