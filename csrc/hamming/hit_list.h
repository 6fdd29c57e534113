// A growing list of (item, distance) pairs, in order of insertion.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace vtsearch {

class HitList {
 public:
  std::size_t size() const { return size_; }
  const std::uint32_t* items() const { return items_.get(); }  // item numbers inside the range
  const std::uint16_t* distances() const { return distances_; }

  // The number of distances below a threshold. 16-bit sums let compilers vectorize with eight or more lanes.
  std::size_t count_below(std::size_t threshold) const {
    constexpr std::size_t piece = 65535;
    std::size_t count = 0;
    for (std::size_t begin = 0; begin < size_; begin += piece) {
      std::uint16_t sum = 0;
      for (std::size_t i = begin; i < std::min(begin + piece, size_); ++i) {
        sum = static_cast<std::uint16_t>(sum + (distances_[i] < static_cast<std::uint16_t>(threshold)));
      }
      count += sum;
    }
    return count;
  }

  // Reserves space for `count` more pairs. The caller writes them at items_end() and distances_end(), then calls
  // grow().
  void make_room(std::size_t count) {
    if (size_ + count > capacity_) reserve(std::max(2 * capacity_, size_ + count));
  }
  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    auto memory = std::make_unique_for_overwrite<std::uint32_t[]>(capacity + (capacity + 1) / 2);
    auto* distances = reinterpret_cast<std::uint16_t*>(memory.get() + capacity);
    std::copy_n(items_.get(), size_, memory.get());
    std::copy_n(distances_, size_, distances);
    items_ = std::move(memory);
    distances_ = distances;
    capacity_ = capacity;
  }
  std::uint32_t* items_end() { return items_.get() + size_; }
  std::uint16_t* distances_end() { return distances_ + size_; }
  void grow(std::size_t count) { size_ += count; }

  // Removes all pairs; keeps the memory.
  void clear() { size_ = 0; }

  // Removes pairs for which keep(distance) is false; keep is called in order.
  template <class Keep>
  void filter(Keep&& keep) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (!keep(distances_[i])) continue;
      items_[kept] = items_[i];
      distances_[kept++] = distances_[i];
    }
    size_ = kept;
  }

 private:
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::unique_ptr<std::uint32_t[]> items_;  // followed by the distances, in one allocation
  std::uint16_t* distances_ = nullptr;
};

// One list for each query.
using HitLists = std::vector<HitList>;

}  // namespace vtsearch
