// Memory straight from the operating system, given back to it at once when freed: what is staged while reading must be
// gone by the time the matrix that replaces it has grown, and malloc keeps what it once had.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace muster {

// A stretch of such memory.
class Pages {
 public:
  Pages() = default;
  Pages(Pages&& other) noexcept
      : mapping_(std::move(other.mapping_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(mapping_, other.mapping_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::size_t size() const { return size_; }
  template <class T>
  T* at(std::size_t offset) const {  // offset in bytes, a multiple of sizeof(T)
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  friend class PageArena;
  Pages(std::shared_ptr<std::byte> mapping, std::byte* data, std::size_t size)
      : mapping_(std::move(mapping)), data_(data), size_(size) {}

  std::shared_ptr<std::byte> mapping_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Cuts stretches from mappings of large pages, where the system lets them be large: far fewer to be mapped and cleared.
// A mapping is given back when the last stretch of it is gone. Stretches may outlive the arena.
class PageArena {
 public:
  // On a cache line. Throws std::bad_alloc.
  Pages take(std::size_t bytes);

 private:
  std::shared_ptr<std::byte> mapping_;
  std::size_t used_ = 0;
};

// Such memory that grows where it is: the system moves its pages, and nothing is copied or there twice.
class PageBuffer {
 public:
  PageBuffer() = default;
  PageBuffer(PageBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), room_(std::exchange(other.room_, 0)) {}
  PageBuffer& operator=(PageBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(room_, other.room_);
    return *this;
  }
  ~PageBuffer();

  std::byte* data() const { return data_; }  // on a page
  std::size_t room() const { return room_; }
  // For so many bytes at least. What is there stays, what is new is uninitialised. Throws std::bad_alloc.
  void make_room(std::size_t bytes);

 private:
  std::byte* data_ = nullptr;
  std::size_t room_ = 0;
};

// Buffers that are used again and again, so that they are mapped and cleared once. Those that are lent may outlive the
// pool. Threads: they may be let go on any.
class BufferPool {
 public:
  // One that was let go, or one without room.
  PageBuffer take();
  std::shared_ptr<const void> lend(PageBuffer buffer);

 private:
  struct Shared {
    std::mutex mutex;
    std::vector<PageBuffer> free;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Gives back to the operating system what malloc holds of memory that is already free, such as a reader's buffers.
void release_free_memory();

}  // namespace muster
