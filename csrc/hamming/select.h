// The k smallest by (distance, index) out of a stream that comes in order of index. The order lives here alone.
//
// Every distance seen is counted. As soon as k items lie at distances <= d, later items must lie below d to matter,
// since they lose every tie at d: the threshold is strict and only falls. What passes it goes to a side buffer, which
// is thinned when it is full and sorted by counting at the end. Both keep the order of arrival, and with it the order
// of the index.
//
// A ceiling, guessed from a sample, spares the stream's beginning, when nothing is known yet and nearly everything
// would pass. A guess that proves too low is found out at the end, and the work is done again without it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "hamming/scanner.h"
#include "hamming/tiles.h"

namespace vtsearch {

class Selection {
 public:
  // Items at `ceiling` or beyond never pass; with ceiling = bins all may.
  Selection(std::size_t k, std::size_t bins, std::size_t ceiling)
      : k_(k), ceiling_(ceiling), threshold_(ceiling), counts_(bins, 0) {}

  // Whether nothing is missing that the ceiling kept out.
  bool complete() const { return threshold_ < ceiling_ || ceiling_ == counts_.size(); }

  // Items at this distance or beyond no longer pass.
  std::size_t threshold() const { return threshold_; }

  // Takes what was found in a tile below a threshold that was this one, or has fallen to it since.
  void add(const Tile& tile, const Hits& hits) {
    const std::size_t size = items_.size();
    if (size + hits.count > 2 * k_ + slack) thin();
    for (std::size_t i = 0; i < hits.count; ++i) {
      items_.push_back(tile.item(hits.positions[i]));
      distances_.push_back(hits.distances[i]);
      ++counts_[hits.distances[i]];
    }
    below_ += hits.count;
    while (below_ >= k_) below_ -= counts_[--threshold_];
  }

  // Writes the first min(k, kept) items; indices are counted from `first`.
  std::size_t finish(std::size_t first, std::int32_t* distances, std::int64_t* indices) {
    std::vector<std::size_t> offsets(counts_.size() + 1, 0);
    for (std::size_t d = 0; d < counts_.size(); ++d) offsets[d + 1] = offsets[d] + counts_[d];
    const std::size_t size = std::min(k_, offsets.back());
    for (std::size_t d = 0; d < counts_.size() && offsets[d] < size; ++d) {
      std::fill(distances + offsets[d], distances + std::min(offsets[d + 1], size), static_cast<std::int32_t>(d));
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const std::size_t place = offsets[distances_[i]]++;
      if (place < size) indices[place] = static_cast<std::int64_t>(first + items_[i]);
    }
    return size;
  }

 private:
  // Forgets what can no longer be among the first k: all beyond the threshold, and at the threshold all but the first.
  void thin() {
    std::size_t places = k_ - below_;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const std::uint16_t distance = distances_[i];
      if (distance > threshold_ || (distance == threshold_ && places == 0)) {
        --counts_[distance];
        continue;
      }
      places -= distance == threshold_;
      items_[kept] = items_[i];
      distances_[kept++] = distance;
    }
    items_.resize(kept);
    distances_.resize(kept);
  }

  static constexpr std::size_t slack = 4096;  // hits beyond twice k before it pays to look for what can go

  std::size_t k_;
  std::size_t ceiling_;
  std::size_t threshold_;
  std::size_t below_ = 0;              // kept items below the threshold, fewer than k between tiles
  std::vector<std::uint32_t> counts_;  // kept items by distance
  std::vector<std::uint32_t> items_;   // inside the range, in order of arrival
  std::vector<std::uint16_t> distances_;
};

}  // namespace vtsearch
