// The k smallest by (distance, index) out of a stream that comes in order of index. The order lives here alone.
//
// As soon as k items lie at distances <= d, later items must lie below d to matter, since they lose every tie at d: the
// threshold is strict and only falls. What passes it goes to a list, which is thinned when it is long and sorted by
// counting at the end. Both keep the order of arrival, and with it the order of the index.
//
// A ceiling, guessed from a sample, spares the stream's beginning, when nothing is known yet and nearly everything
// would pass. A guess that proves too low is found out at the end, and the work is done again without it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hamming/counting_sort.h"
#include "hamming/hit_list.h"

namespace vtsearch {

class TopK {
 public:
  static constexpr std::size_t slack = 1024;  // hits beyond twice k before it pays to look for what can go

  // Items at `ceiling` or beyond never pass; with ceiling = bins all may.
  TopK(std::size_t k, std::size_t bins, std::size_t ceiling)
      : k_(k), bins_(bins), ceiling_(ceiling), threshold_(ceiling) {}

  // Whether nothing is missing that the ceiling kept out.
  bool complete() const { return threshold_ < ceiling_ || ceiling_ == bins_; }

  // Items at this distance or beyond no longer pass.
  std::size_t threshold() const { return threshold_; }

  // To be called when the last `count` of the hits have come, all below the threshold. Whether it has fallen.
  bool add(HitList& hits, std::size_t count) {
    below_ += count;
    if (below_ < k_) return false;
    lower_threshold(hits);
    if (hits.size() > 2 * k_ + slack) thin(hits);
    return true;
  }

  // Writes the first min(k, size) items, each with `first` added.
  void finish(const HitList& hits, std::size_t first, std::int32_t* distances, std::int64_t* indices) const {
    const std::uint32_t* items = hits.items();
    const std::uint16_t* found = hits.distances();
    sort_by_distance(
        hits.size(), bins_, std::min(k_, hits.size()), [=](std::size_t i) { return std::size_t{found[i]}; },
        [=](std::size_t i) { return static_cast<std::int64_t>(first + items[i]); }, distances, indices);
  }

 private:
  // To the largest distance that fewer than k hits lie below: mostly one step away, far away at first.
  void lower_threshold(const HitList& hits) {
    std::size_t enough = threshold_, step = 1, candidate;
    do {
      candidate = enough > step ? enough - step : 0;
      below_ = hits.count_below(candidate);
      if (below_ >= k_) enough = candidate;
      step *= 2;
    } while (enough == candidate);
    threshold_ = candidate;
    while (enough - threshold_ > 1) {
      const std::size_t middle = (threshold_ + enough) / 2, count = hits.count_below(middle);
      (count < k_ ? threshold_ : enough) = middle;
      if (count < k_) below_ = count;
    }
  }

  // Forgets what can no longer be among the first k: all beyond the threshold, and at the threshold all but the first.
  void thin(HitList& hits) const {
    std::size_t places = k_ - below_;
    hits.filter([&](std::size_t distance) {
      if (distance != threshold_) return distance < threshold_;
      return places != 0 && places-- != 0;
    });
  }

  std::size_t k_;
  std::size_t bins_;
  std::size_t ceiling_;
  std::size_t threshold_;
  std::size_t below_ = 0;  // hits below the threshold, fewer than k between tiles
};

}  // namespace vtsearch
