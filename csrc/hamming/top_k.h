// Top-k selection: the k smallest items by (distance, index) of a stream in order of the index.
//
// Once k items are at distances <= d, later items must be below d, since they lose ties at d: the threshold is strict
// and only decreases. Items below it are appended to a list, which is pruned when it gets long and finally sorted by a
// counting sort. Both are stable, so ties are broken by index.
//
// The threshold can be lowered less often: with `patience` hits more than k below it.
//
// At the start of the stream nearly every item would be a hit. A ceiling estimated from a sample avoids that; if it
// proves too low, complete() returns false and the selection has to be repeated without it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hamming/counting_sort.h"
#include "hamming/hit_list.h"

namespace vtsearch {

class TopK {
 public:
  static constexpr std::size_t slack = 1024;  // prune a list longer than 2 k + slack

  // Only items below `ceiling` are selected; ceiling = bins is no restriction.
  TopK(std::size_t k, std::size_t bins, std::size_t ceiling, std::size_t patience = 0)
      : k_(k), bins_(bins), ceiling_(ceiling), patience_(patience), threshold_(ceiling) {}

  // Whether the result is correct, that is, unaffected by the ceiling.
  bool complete() const { return threshold_ < ceiling_ || below_ >= k_ || ceiling_ == bins_; }

  // Only items below this distance can still be selected.
  std::size_t threshold() const { return threshold_; }

  // Call it after `count` hits below the threshold were appended. Returns whether the threshold has decreased.
  bool add(HitList& hits, std::size_t count) {
    below_ += count;
    if (below_ < k_ + patience_) return false;
    lower_threshold(hits);
    if (hits.size() > 2 * k_ + slack) thin(hits);
    return true;
  }

  // Writes the first min(k, size) items in order, adding `first` to each index.
  void finish(const HitList& hits, std::size_t first, std::int32_t* distances, std::int64_t* indices) const {
    const std::uint32_t* items = hits.items();
    const std::uint16_t* found = hits.distances();
    sort_by_distance(
        hits.size(), ceiling_, std::min(k_, hits.size()), [=](std::size_t i) { return std::size_t{found[i]}; },
        [=](std::size_t i) { return static_cast<std::int64_t>(first + items[i]); }, distances, indices);
  }

 private:
  // Sets the threshold to the largest distance with fewer than k hits below it, by galloping search: it is usually one
  // step away, but far away at first.
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

  // Removes hits that cannot be among the first k: those above the threshold, and those at the threshold beyond the
  // first k - below_.
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
  std::size_t patience_;
  std::size_t threshold_;
  std::size_t below_ = 0;  // hits below the threshold; fewer than k + patience between tiles
};

}  // namespace vtsearch
