// Groups as trees: an item points at one of its group that is not above it, and the smallest of a group at itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace vtsearch {

// Any number of threads may unite at once: an item is only ever pointed at a smaller one of its own group, so that what
// another thread has read stays true, if late. The groups are the same whatever came first.
class UnionFind {
 public:
  // In memory of the caller's, where the parents already are.
  explicit UnionFind(std::int64_t* parents) : parents_(parents) {}

  void unite(std::int64_t a, std::int64_t b) {
    for (;;) {
      a = root(a);
      b = root(b);
      if (a == b) return;
      if (a < b) std::swap(a, b);
      if (point(a, a, b)) return;  // not if another thread was faster, and a is no root any more
    }
  }

  // Points each item at the smallest of its group. For one thread, when all is united.
  void flatten(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) parents_[i] = parents_[parents_[i]];
  }

 private:
  std::int64_t root(std::int64_t item) {
    for (;;) {
      const std::int64_t up = parent(item);
      const std::int64_t further_up = parent(up);
      if (further_up == up) return up;
      point(item, up, further_up);
      item = further_up;
    }
  }

  std::int64_t parent(std::int64_t item) { return cell(item).load(std::memory_order_relaxed); }

  bool point(std::int64_t item, std::int64_t from, std::int64_t to) {
    return cell(item).compare_exchange_strong(from, to, std::memory_order_relaxed);
  }

  std::atomic_ref<std::int64_t> cell(std::int64_t item) { return std::atomic_ref<std::int64_t>(parents_[item]); }

  std::int64_t* parents_;
};

}  // namespace vtsearch
