// A temporary file holds what is written, wherever, and leaves nothing; where there is none, the sentence says why.
#include "base/temporary_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace muster {
namespace {

// TMPDIR as a test wants it, and then as it was.
class TemporaryFiles : public ::testing::Test {
 protected:
  TemporaryFiles() {
    if (const char* named = std::getenv("TMPDIR")) before_ = named;
    // The directory of the tests themselves may be kept in memory.
    std::string pattern = "/var/tmp/muster-test-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    setenv("TMPDIR", directory_.c_str(), 1);
  }
  ~TemporaryFiles() override {
    std::filesystem::remove_all(directory_);
    before_ ? setenv("TMPDIR", before_->c_str(), 1) : unsetenv("TMPDIR");
  }
  static std::string refusal(std::uint64_t bytes) {
    try {
      TemporaryFile file(bytes);
    } catch (const NoTemporaryFile& none) {
      return none.what();
    }
    return "";
  }

  std::optional<std::string> before_;
  std::string directory_;
};

TEST_F(TemporaryFiles, HoldWhatIsWrittenAndLeaveNothing) {
  TemporaryFile file(100);
  EXPECT_EQ(file.directory(), directory_);
  file.write_at(5, "there");
  file.write_at(0, "here ");
  const Descriptor descriptor = file.release();
  std::string text(20, '?');
  ASSERT_EQ(pread(descriptor.get(), text.data(), text.size(), 0), 10);
  EXPECT_EQ(text.substr(0, 10), "here there");
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(TemporaryFiles, LieInVarTmpWhereNoDirectoryIsNamed) {
  for (const bool empty : {true, false}) {
    empty ? setenv("TMPDIR", "", 1) : unsetenv("TMPDIR");
    EXPECT_EQ(TemporaryFile(1).directory(), "/var/tmp");
  }
}

TEST_F(TemporaryFiles, AreRefusedWithTheDirectoryAndTheCause) {
  const auto free = static_cast<std::uint64_t>(std::filesystem::space(directory_).available);
  EXPECT_EQ(refusal(free), directory_ + ": No space left on device");
  EXPECT_EQ(refusal(free / 2), "");
  const std::string none = directory_ + "/none";
  setenv("TMPDIR", none.c_str(), 1);
  EXPECT_EQ(refusal(1), none + ": No such file or directory");
  if (!std::filesystem::exists("/dev/shm")) return;
  setenv("TMPDIR", "/dev/shm", 1);
  EXPECT_EQ(refusal(1), "/dev/shm: its files are kept in memory");
}

}  // namespace
}  // namespace muster
