// Lock-free union-find. Each item has a parent in its group that is not larger; the root is the smallest item.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace vtsearch {

// unite() may be called by many threads at once. Parents only ever change to smaller items of the same group, so a
// stale value read by another thread is still a valid ancestor. The result does not depend on the order of calls.
class UnionFind {
 public:
  // Works in place on the caller's array of parents.
  explicit UnionFind(std::int64_t* parents) : parents_(parents) {}

  void unite(std::int64_t a, std::int64_t b) {
    for (;;) {
      a = root(a);
      b = root(b);
      if (a == b) return;
      if (a < b) std::swap(a, b);
      if (point(a, a, b)) return;  // fails if another thread has attached a to a parent meanwhile
    }
  }

  // The smallest item of the group so far.
  std::int64_t find(std::int64_t item) { return root(item); }

  // Sets each parent to the root. Call it from one thread after all unions.
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

#ifdef __cpp_lib_atomic_ref
  std::int64_t parent(std::int64_t item) { return cell(item).load(std::memory_order_relaxed); }

  bool point(std::int64_t item, std::int64_t from, std::int64_t to) {
    return cell(item).compare_exchange_strong(from, to, std::memory_order_relaxed);
  }

  std::atomic_ref<std::int64_t> cell(std::int64_t item) { return std::atomic_ref<std::int64_t>(parents_[item]); }
#else  // libc++ before LLVM 19
  std::int64_t parent(std::int64_t item) { return __atomic_load_n(parents_ + item, __ATOMIC_RELAXED); }

  bool point(std::int64_t item, std::int64_t from, std::int64_t to) {
    return __atomic_compare_exchange_n(parents_ + item, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
#endif

  std::int64_t* parents_;
};

}  // namespace vtsearch
