// Windowed reads of memory-mapped codes, with progress and page-release callbacks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "codes.h"

namespace vtsearch {

// Both callbacks are optional and may throw. Any thread may call release; only the calling thread calls report.
struct ReadWindows {
  std::size_t items;                             // per window, at least 1; two windows must fit in memory
  std::size_t pairs;                             // compared between two reports, approximately
  std::function<void(std::size_t done)> report;  // `done` is scaled by the fraction of pairs compared
  std::function<void(Range items)> release;      // their pages may be evicted

  // Calls visit(window) for consecutive windows of begin .. count - 1 and releases each one afterwards.
  template <class Visit>
  void for_each(std::size_t begin, std::size_t count, Visit&& visit) const {
    for (; begin < count; begin += items) {
      const Range window{begin, begin + std::min(items, count - begin)};
      visit(window);
      if (release) release(window);
    }
  }
};

}  // namespace vtsearch
