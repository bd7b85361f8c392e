// The arrays of a shard: each has its elements itself, or sees those of a mapped file (data/mapped_file.h) where they
// lie.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

#include "base/aligned.h"

namespace muster {

// As a vector. What is seen elsewhere is never written to: whatever may change an element, a plain data() of an array
// that is not const among it, first makes a copy of its own.
template <class T>
class RowArray {
 public:
  using value_type = T;

  RowArray() = default;
  RowArray(AlignedVector<T> elements) : own_(std::move(elements)) {}  // NOLINT: arrays are made of vectors
  RowArray(std::initializer_list<T> elements) : own_(elements) {}
  explicit RowArray(std::size_t size) : own_(size) {}
  RowArray(std::size_t size, const T& element) : own_(size, element) {}
  template <std::input_iterator From>
  RowArray(From begin, From end) : own_(begin, end) {}
  // keeper: holds the elements there as long as this or a copy of it lives.
  static RowArray seen(std::span<const T> elements, const std::shared_ptr<const void>& keeper) {
    RowArray array;
    array.seen_ = elements;
    array.keeper_ = keeper;
    return array;
  }

  const T* data() const { return keeper_ ? seen_.data() : own_.data(); }
  std::size_t size() const { return keeper_ ? seen_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }

  T* data() { return own().data(); }
  T& operator[](std::size_t i) { return own()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  void reserve(std::size_t size) { own().reserve(size); }
  void resize(std::size_t size) { own().resize(size); }
  void assign(std::size_t size, const T& element) { renew().assign(size, element); }
  template <std::input_iterator From>
  void assign(From begin, From end) {
    renew().assign(begin, end);
  }
  void clear() { renew().clear(); }
  void push_back(const T& element) { own().push_back(element); }
  template <class From>
  void append(From begin, From end) {
    own().insert(own_.end(), begin, end);
  }

  // The first elements alone.
  void keep_first(std::size_t size) {
    if (keeper_) {
      seen_ = seen_.first(size);
    } else {
      own_.resize(size);
    }
  }
  // Elements [begin, end): seen where these are, else a copy.
  RowArray part(std::size_t begin, std::size_t end) const {
    if (keeper_) return seen(seen_.subspan(begin, end - begin), keeper_);
    return RowArray(data() + begin, data() + end);
  }

  operator std::span<const T>() const { return {data(), size()}; }  // NOLINT: as of a vector
  friend bool operator==(const RowArray& a, const RowArray& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  AlignedVector<T>& own() {
    if (keeper_) {
      own_.assign(seen_.begin(), seen_.end());
      forget_seen();
    }
    return own_;
  }
  AlignedVector<T>& renew() {
    forget_seen();
    return own_;
  }
  void forget_seen() {
    keeper_.reset();
    seen_ = {};
  }

  AlignedVector<T> own_;  // empty where there is a keeper
  std::span<const T> seen_;
  std::shared_ptr<const void> keeper_;
};

}  // namespace muster
