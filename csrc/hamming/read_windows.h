// Codes that are read in windows, and whoever wants to know.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "codes.h"

namespace vtsearch {

// Both functions may be missing and may throw; any thread may call release, the calling one alone calls report.
struct ReadWindows {
  std::size_t items;                             // of a window, at least 1; the memory has room for two windows
  std::size_t pairs;                             // of codes that are compared between two reports, about
  std::function<void(std::size_t done)> report;  // items, out of all; one counts by its share of the pairs
  std::function<void(Range items)> release;      // these will not be read for a while

  // Calls visit(window) for one window after the other, from `begin` on, and releases each.
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
