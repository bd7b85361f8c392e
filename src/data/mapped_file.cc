#include "data/mapped_file.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "muster/error.h"

namespace muster {

// What the handler knows of a mapping. Ranges are never freed, since it may be reading them; new mappings take those
// that are free.
struct MappedRange {
  std::atomic<bool> taken = true;
  std::atomic<std::uintptr_t> begin = 0, end = 0;
  std::atomic<bool> cut_short = false;
  MappedRange* next = nullptr;
};

namespace {

std::atomic<MappedRange*> all_ranges = nullptr;
struct sigaction before;

std::uintptr_t page_size() {
  static const auto size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// What is behind a byte that is not there is not there either, so zeros go up to the end.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (MappedRange* range = all_ranges.load(); range != nullptr; range = range->next) {
    if (at < range->begin.load() || at >= range->end.load()) continue;
    std::byte* page = static_cast<std::byte*>(info->si_addr) - at % page_size();
    range->cut_short.store(true);
    void* zeros = mmap(page, range->end.load() - at + at % page_size(), PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros != MAP_FAILED) return;
  }
  sigaction(signal, &before, nullptr);  // the byte is touched again on return, and theirs called
}

void handle_bus_errors() {
  static const bool handled = [] {
    page_size();  // not for the first time in the handler
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGBUS, &action, &before) == 0;
  }();
  MUSTER_CHECK(handled, "a handler of SIGBUS");
}

MappedRange* take_range(std::span<const std::byte> bytes) {
  handle_bus_errors();
  MappedRange* range = all_ranges.load();
  while (range != nullptr && range->taken.exchange(true)) range = range->next;
  if (range == nullptr) {
    range = std::make_unique<MappedRange>().release();
    range->next = all_ranges.load();
    while (!all_ranges.compare_exchange_weak(range->next, range)) continue;
  }
  range->cut_short.store(false);
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  range->begin.store(begin);
  range->end.store(begin + bytes.size());
  return range;
}

// The pages that bytes lie on.
void advise(std::span<const std::byte> bytes, int advice) {
  if (bytes.empty()) return;
  const std::uintptr_t into_page = reinterpret_cast<std::uintptr_t>(bytes.data()) % page_size();
  madvise(const_cast<std::byte*>(bytes.data()) - into_page, bytes.size() + into_page, advice);
}

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::map(Descriptor file, std::string name) {
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
    return nullptr;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(memory), size);
  return std::unique_ptr<MappedFile>(new MappedFile(std::move(file), std::move(name), status, bytes));
}

MappedFile::MappedFile(Descriptor file, std::string name, const struct stat& status, std::span<const std::byte> bytes)
    : file_(std::move(file)), name_(std::move(name)), status_(status), bytes_(bytes), range_(take_range(bytes)) {}

MappedFile::~MappedFile() {
  range_->end.store(0);
  range_->begin.store(0);
  range_->taken.store(false);
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::check_unchanged() const {
  struct stat now {};
  const bool same = fstat(file_.get(), &now) == 0 && now.st_size == status_.st_size &&
                    same_time(now.st_mtim, status_.st_mtim) && !range_->cut_short.load();
  if (!same) throw InputError(fmt::format("{}: the file was changed while its rows were in use", name_));
}

void MappedFile::expect(std::span<const std::byte> bytes) {
  advise(bytes, MADV_WILLNEED);
}

void MappedFile::fetch(std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += page_size())
    static_cast<void>(*static_cast<const volatile std::byte*>(&bytes[at]));
}

void MappedFile::release(std::span<const std::byte> bytes) {
  advise(bytes, MADV_DONTNEED);
}

}  // namespace muster
