// The k nearest of items that arrive in any order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vtsearch {

class NearestFound {
 public:
  // Forgets all items. From then on, those at `threshold` or beyond are of no use.
  void start(std::size_t k, std::size_t threshold) {
    k_ = k;
    threshold_ = threshold;
    found_.clear();
  }

  std::size_t count() const { return found_.size(); }
  bool full() const { return found_.size() == k_; }

  // Items below this distance may be of use.
  std::size_t threshold() const { return threshold_; }

  // The same for items from this one on: at the distance of the k-th one, they would have to precede it.
  std::size_t threshold(std::uint32_t first_item) const {
    return full() && first_item > item(found_.front()) ? threshold_ - 1 : threshold_;
  }

  bool accepts(std::uint32_t item, std::size_t distance) const {
    return !full() || pack(item, distance) < found_.front();
  }

  // `item` must be new, and accepted.
  void add(std::uint32_t item, std::size_t distance) {
    if (full()) {
      std::pop_heap(found_.begin(), found_.end());
      found_.back() = pack(item, distance);
      std::push_heap(found_.begin(), found_.end());
    } else {
      found_.push_back(pack(item, distance));
      if (!full()) return;
      std::make_heap(found_.begin(), found_.end());
    }
    threshold_ = static_cast<std::size_t>(found_.front() >> 32) + 1;
  }

  // Writes the items in the order of (distance, index); no other may be added then.
  void write(std::int32_t* distances, std::int64_t* indices) {
    if (found_.size() < radix_sorted) {
      std::sort(found_.begin(), found_.end());
    } else {
      radix_sort();
    }
    for (std::size_t i = 0; i < found_.size(); ++i) {
      distances[i] = static_cast<std::int32_t>(found_[i] >> 32);
      indices[i] = static_cast<std::int64_t>(item(found_[i]));
    }
  }

 private:
  static constexpr std::size_t radix_sorted = 256;  // from this size on, a radix sort is faster

  // One number in the order of (distance, index).
  static std::uint64_t pack(std::uint32_t item, std::size_t distance) { return std::uint64_t{distance} << 32 | item; }
  static std::uint32_t item(std::uint64_t packed) { return static_cast<std::uint32_t>(packed); }

  // Byte by byte from the lowest one; bytes that are the same in all are left out.
  void radix_sort() {
    constexpr std::size_t bytes = 6, values = 256;
    std::uint64_t differing = 0;
    for (const std::uint64_t each : found_) differing |= each ^ found_.front();
    other_.resize(found_.size());
    for (std::size_t shift = 0; shift < 8 * bytes; shift += 8) {
      if (((differing >> shift) & 0xff) == 0) continue;
      std::size_t places[values + 1] = {};
      for (const std::uint64_t each : found_) ++places[((each >> shift) & 0xff) + 1];
      for (std::size_t v = 1; v < values; ++v) places[v] += places[v - 1];
      for (const std::uint64_t each : found_) other_[places[(each >> shift) & 0xff]++] = each;
      std::swap(found_, other_);
    }
  }

  std::size_t k_ = 0;
  std::size_t threshold_ = 0;
  std::vector<std::uint64_t> found_;  // once full, a heap with the last one first
  std::vector<std::uint64_t> other_;  // for sorting
};

}  // namespace vtsearch
