// A mapped file that others change is an error by name, and never a crash.
#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "muster/error.h"
#include "test_peers.h"

namespace muster {
namespace {

constexpr std::size_t kPages = 64;

class MappedFileTest : public ::testing::Test {
 protected:
  MappedFileTest() : path_(dir_.file("m", std::string(kPages * kPage, 'x'))), file_(map()) {}
  std::shared_ptr<const MappedFile> map() const {
    return MappedFile::map(Descriptor(open(path_.c_str(), O_RDONLY | O_CLOEXEC)), path_);
  }
  static bool refuses(const MappedFile& file, const std::string& name) {
    try {
      file.check_unchanged();
    } catch (const InputError& error) {
      return std::string(error.what()).starts_with(name + ": the file was changed");
    }
    return false;
  }

  static const std::size_t kPage;
  TemporaryDirectory dir_;
  std::string path_;
  std::shared_ptr<const MappedFile> file_;
};
const std::size_t MappedFileTest::kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

TEST_F(MappedFileTest, IsReadWhereItLies) {
  EXPECT_EQ(file_->bytes().size(), kPages * kPage);
  MappedFile::fetch(file_->bytes());
  MappedFile::release(file_->bytes());
  EXPECT_TRUE(
      std::all_of(file_->bytes().begin(), file_->bytes().end(), [](std::byte b) { return b == std::byte{'x'}; }));
  file_->check_unchanged();
  EXPECT_EQ(MappedFile::map(Descriptor(), "none"), nullptr);
  EXPECT_EQ(MappedFile::map(Descriptor(open(dir_.file("e", "").c_str(), O_RDONLY)), "e"), nullptr);
}

TEST_F(MappedFileTest, WhatIsCutOffReadsAsZerosAndIsRefused) {
  const std::shared_ptr<const MappedFile> other = map(), untouched = map();
  const auto time = std::filesystem::last_write_time(path_);
  std::filesystem::resize_file(path_, 2 * kPage);
  EXPECT_EQ(file_->bytes()[kPages * kPage - 1], std::byte{0});
  EXPECT_EQ(file_->bytes()[3 * kPage], std::byte{0});
  EXPECT_EQ(file_->bytes()[0], std::byte{'x'});
  EXPECT_TRUE(refuses(*file_, path_) && refuses(*other, path_));
  // Also where it is put back with its old time before anyone looks, if the zeros were seen.
  std::filesystem::resize_file(path_, kPages * kPage);
  std::filesystem::last_write_time(path_, time);
  EXPECT_TRUE(refuses(*file_, path_));
  untouched->check_unchanged();
  file_.reset();
  file_ = map();  // what the handler knew of the old one is not of this
  file_->check_unchanged();
}

// By its size, whatever its time.
TEST_F(MappedFileTest, ALongerFileOfTheSameTimeIsRefused) {
  const auto time = std::filesystem::last_write_time(path_);
  std::filesystem::resize_file(path_, kPages * kPage + 1);
  std::filesystem::last_write_time(path_, time);
  EXPECT_TRUE(refuses(*file_, path_));
}

TEST_F(MappedFileTest, AFileWrittenToIsRefused) {
  // A time apart from that of the file's making, whatever the clock's ticks.
  std::filesystem::last_write_time(path_, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  file_ = map();
  std::fstream(path_, std::ios::in | std::ios::out) << "y";
  EXPECT_TRUE(refuses(*file_, path_));
}

TEST_F(MappedFileTest, AFileReplacedLivesOn) {
  std::filesystem::rename(dir_.file("n", "another"), path_);
  EXPECT_EQ(file_->bytes()[kPages * kPage - 1], std::byte{'x'});
  file_->check_unchanged();
}

// It ends the process, by whatever handles the signal else: nobody, or a sanitizer.
TEST_F(MappedFileTest, AnothersBusErrorIsAnothers) {
  EXPECT_DEATH(
      {
        const int other = open(dir_.file("o", "x").c_str(), O_RDWR);
        void* memory = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, other, 0);
        std::filesystem::resize_file(dir_.path() + "/o", 0);
        static_cast<void>(*static_cast<volatile char*>(memory));
      },
      "");
}

// Also where a mapped file once was.
TEST_F(MappedFileTest, ABusErrorWhereAFileWasMappedIsAnothers) {
  EXPECT_DEATH(
      {
        void* const place = const_cast<std::byte*>(file_->bytes().data());
        file_.reset();
        const int other = open(dir_.file("o", "x").c_str(), O_RDWR);
        void* memory = mmap(place, kPage, PROT_READ, MAP_SHARED | MAP_FIXED, other, 0);
        std::filesystem::resize_file(dir_.path() + "/o", 0);
        static_cast<void>(*static_cast<volatile char*>(memory));
      },
      "");
}

// Bytes that are released are read from the file again, those of their pages too.
TEST_F(MappedFileTest, ReleasedBytesAreNoLongerOfTheProcess) {
  const auto resident = [&] {
    std::ifstream in("/proc/self/statm");
    std::size_t size = 0, pages = 0;
    in >> size >> pages;
    return pages;
  };
  MappedFile::fetch(file_->bytes());
  const std::size_t before = resident();
  MappedFile::release(file_->bytes().subspan(100));
  EXPECT_LE(resident() + kPages / 2, before);
  EXPECT_EQ(file_->bytes()[kPage], std::byte{'x'});
}

}  // namespace
}  // namespace muster
