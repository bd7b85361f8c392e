#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "muster/error.h"

namespace muster {
namespace {

namespace fs = std::filesystem;
using Staging = AtomicFile::Staging;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void fill(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// What writing path says, or "" where it works.
std::string refusal(const std::string& path, const std::string& text = "new") {
  try {
    write_file_atomically(path, text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

class AtomicFileTest : public ::testing::TestWithParam<Staging> {
 protected:
  AtomicFileTest() {
    std::string pattern = (fs::temp_directory_path() / "atomic_file_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~AtomicFileTest() override {
    std::error_code ignored;
    fs::permissions(directory_, fs::perms::owner_all, ignored);
    fs::remove_all(directory_, ignored);
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }

  fs::path directory_;
};

TEST_P(AtomicFileTest, AppearsWholeAtCommitAndNotBefore) {
  const std::string large(3'000'000, 'x');
  AtomicFile file(path("f"), GetParam());
  file.write("head\n");
  file.write(large);
  EXPECT_FALSE(fs::exists(path("f")));
  file.commit();
  EXPECT_EQ(content(path("f")), "head\n" + large);
  EXPECT_EQ(files(), 1u);
}

TEST_P(AtomicFileTest, WithoutCommitTheOldFileStaysAndNothingElse) {
  fill(path("f"), "old");
  {
    AtomicFile file(path("f"), GetParam());
    file.write("new");
  }
  EXPECT_EQ(content(path("f")), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_P(AtomicFileTest, ReplacesAFileAndKeepsItsMode) {
  fill(path("f"), "old and longer");
  ASSERT_EQ(::chmod(path("f").c_str(), 0640), 0);
  AtomicFile file(path("f"), GetParam());
  file.write("new");
  file.commit();
  EXPECT_EQ(content(path("f")), "new");
  struct stat status {};
  ASSERT_EQ(::stat(path("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_P(AtomicFileTest, ANewFileHasTheModeOfTheUmask) {
  const mode_t before = ::umask(027);
  AtomicFile file(path("f"), GetParam());
  file.commit();
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat(path("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_P(AtomicFileTest, ASymbolicLinkStaysOneAndItsTargetIsReplaced) {
  fs::create_directory(path("elsewhere"));
  fill(path("elsewhere/f"), "old");
  fs::create_symlink("elsewhere/f", path("link"));
  fs::create_symlink("elsewhere/none_yet", path("dangling"));
  for (const std::string name : {"link", "dangling"}) {
    AtomicFile file(path(name), GetParam());
    file.write("new");
    file.commit();
    EXPECT_TRUE(fs::is_symlink(path(name)));
    EXPECT_EQ(content(path(name)), "new");
  }
}

TEST_P(AtomicFileTest, TwoAtOnceDoNotMeet) {
  AtomicFile first(path("f"), GetParam());
  AtomicFile second(path("f"), GetParam());
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  EXPECT_EQ(content(path("f")), "first");
  EXPECT_EQ(files(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Staging, AtomicFileTest, ::testing::Values(Staging::automatic, Staging::named));

using AtomicFilePaths = AtomicFileTest;

TEST_F(AtomicFilePaths, RefusalsNamePathAndCause) {
  EXPECT_EQ(refusal(path("no/f")), "cannot write " + path("no/f") + ": No such file or directory");
  EXPECT_EQ(refusal(directory_.string()), "cannot write " + directory_.string() + ": Is a directory");
  EXPECT_EQ(refusal(path("new/")), "cannot write " + path("new/") + ": Is a directory");
  EXPECT_EQ(refusal(""), "cannot write '': No such file or directory");
  const std::string long_name(300, 'n');
  EXPECT_EQ(refusal(path(long_name)), "cannot write " + path(long_name) + ": File name too long");
  fill(path("f"), "");
  EXPECT_EQ(refusal(path("f/g")), "cannot write " + path("f/g") + ": Not a directory");
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFilePaths, AFullDiskIsReported) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not here";
  EXPECT_EQ(refusal("/dev/full"), "cannot write /dev/full: No space left on device");
}

TEST_F(AtomicFilePaths, PermissionsAreRespected) {
  if (::geteuid() == 0) {
    // Root may write anywhere: look as somebody else, in a child.
    fs::permissions(directory_, fs::perms::all);
  }
  fill(path("read_only"), "old");
  ASSERT_EQ(::chmod(path("read_only").c_str(), 0444), 0);
  fs::create_directory(path("closed"));
  ASSERT_EQ(::chmod(path("closed").c_str(), 0555), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(3);
    const bool right = refusal(path("read_only")).find("Permission denied") != std::string::npos &&
                       refusal(path("closed/f")).find("Permission denied") != std::string::npos;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(content(path("read_only")), "old");
  EXPECT_EQ(files(), 2u);
}

TEST_F(AtomicFilePaths, APipeIsWrittenInPlace) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  write_file_atomically("/dev/fd/" + std::to_string(ends[1]), "through");
  char text[16] = {};
  EXPECT_EQ(::read(ends[0], text, sizeof(text)), 7);
  EXPECT_STREQ(text, "through");
  ::close(ends[0]);
  ::close(ends[1]);
}

// As standard output does behind ">>": what was there stays, and the file is not swapped for another.
TEST_F(AtomicFilePaths, AnOpenDescriptorIsAppendedTo) {
  fill(path("log"), "before ");
  std::FILE* log = std::fopen(path("log").c_str(), "ab");
  write_file_atomically("/dev/fd/" + std::to_string(::fileno(log)), "between ");
  std::fputs("after", log);
  std::fclose(log);
  EXPECT_EQ(content(path("log")), "before between after");
}

TEST_F(AtomicFilePaths, CheckWritableTouchesNothing) {
  check_writable(path("new"));
  EXPECT_EQ(files(), 0u);
  fill(path("f"), "old");
  check_writable(path("f"));
  EXPECT_EQ(content(path("f")), "old");
  EXPECT_THROW(check_writable(path("no/f")), InputError);
}

TEST_F(AtomicFilePaths, AKilledProcessLeavesNothing) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(path("f"));
    file.write("partial");
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  // Where the file system can not stage without a name, a hidden file is left, but never the file itself.
  EXPECT_FALSE(fs::exists(path("f")));
}

}  // namespace
}  // namespace muster
