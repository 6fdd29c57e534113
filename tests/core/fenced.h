// Arrays followed by inaccessible memory, so that an access beyond the end crashes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define VTSEARCH_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VTSEARCH_ADDRESS_SANITIZER
#endif
#endif

namespace vtsearch {

#ifdef VTSEARCH_ADDRESS_SANITIZER

// AddressSanitizer already guards heap arrays, on both sides.
template <class T>
class Fenced {
 public:
  explicit Fenced(std::size_t size, T value = {}) : size_(size), data_(new T[size]) {
    for (T& place : *this) place = value;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }

 private:
  std::size_t size_;
  std::unique_ptr<T[]> data_;
};

#else

// Memory pages followed by an inaccessible page. They are reused, because mapping is slow, especially in an emulator.
class FencedPages {
 public:
  explicit FencedPages(std::size_t bytes) : room_((bytes + page() - 1) / page() * page()) {
    std::vector<std::byte*>& unused = unused_pages()[room_];
    if (unused.empty()) {
      first_ = map(room_);
    } else {
      first_ = unused.back();
      unused.pop_back();
    }
  }
  FencedPages(FencedPages&& other) noexcept : room_(other.room_), first_(std::exchange(other.first_, nullptr)) {}
  FencedPages& operator=(FencedPages&& other) noexcept {
    std::swap(room_, other.room_);
    std::swap(first_, other.first_);
    return *this;
  }
  ~FencedPages() {
    if (first_ != nullptr) unused_pages()[room_].push_back(first_);
  }

  std::byte* end() const { return first_ + room_; }

 private:
  static std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }
  static std::map<std::size_t, std::vector<std::byte*>>& unused_pages() {
    static std::map<std::size_t, std::vector<std::byte*>> by_room;
    return by_room;
  }
  static std::byte* map(std::size_t room) {
    void* pages = mmap(nullptr, room + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) std::abort();
    auto* first = static_cast<std::byte*>(pages);
    if (mprotect(first + room, page(), PROT_NONE) != 0) std::abort();
    return first;
  }

  std::size_t room_;
  std::byte* first_;
};

// The last element is directly before the inaccessible page, so a kernel that reads or writes beyond it crashes.
template <class T>
class Fenced {
 public:
  explicit Fenced(std::size_t size, T value = {}) : size_(size), pages_(size * sizeof(T)) {
    for (T& place : *this) place = value;
  }

  T* data() { return reinterpret_cast<T*>(pages_.end()) - size_; }
  const T* data() const { return reinterpret_cast<const T*>(pages_.end()) - size_; }
  std::size_t size() const { return size_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }

 private:
  std::size_t size_;
  FencedPages pages_;
};

#endif

}  // namespace vtsearch
