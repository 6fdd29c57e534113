// A stable counting sort by distance. Input is in order of the index, so ties are broken by index.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "compiler.h"

namespace vtsearch {

// Splits the items into `lanes` streams, one behind the other in memory, and visits them in turns: visit(lane, item).
template <std::size_t lanes, class Visit>
VTSEARCH_ALWAYS_INLINE void for_each_in_lanes(std::size_t count, Visit&& visit) {
  const std::size_t length = count / lanes;
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t lane = 0; lane < lanes; ++lane) visit(lane, lane * length + i);
  }
  for (std::size_t i = lanes * length; i < count; ++i) visit(lanes - 1, i);
}

// As sort_by_distance, for so few items that counters would take longer.
template <class Distance, class Index, class Number>
VTSEARCH_NOINLINE void sort_few_by_distance(std::size_t count, std::size_t limit, Distance distance, Index index,
                                            std::int32_t* distances, Number* indices) {
  std::vector<std::pair<std::size_t, std::size_t>> items;  // distances, and places, which break ties
  items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) items.emplace_back(distance(i), i);
  std::sort(items.begin(), items.end());
  for (std::size_t i = 0; i < std::min(limit, count); ++i) {
    distances[i] = static_cast<std::int32_t>(items[i].first);
    indices[i] = index(items[i].second);
  }
}

// Streams have counters of their own, because successive increments of one counter would form a dependency chain.
template <std::size_t lanes, class Distance, class Index, class Number>
VTSEARCH_ALWAYS_INLINE void sort_in_lanes(std::size_t count, std::size_t bins, std::size_t limit, Distance distance,
                                          Index index, std::int32_t* distances, Number* indices) {
  std::vector<std::uint32_t> places(lanes * bins);
  std::uint32_t* const table = places.data();
  for_each_in_lanes<lanes>(count, [=](std::size_t lane, std::size_t i) { ++table[lane * bins + distance(i)]; });
  std::uint32_t next = 0;
  for (std::size_t d = 0; d < bins; ++d) {
    const std::uint32_t first = next;
    for (std::size_t lane = 0; lane < lanes; ++lane) next += std::exchange(table[lane * bins + d], next);
    std::fill(distances + std::min<std::size_t>(first, limit), distances + std::min<std::size_t>(next, limit),
              static_cast<std::int32_t>(d));
  }
  if (limit >= count) {
    return for_each_in_lanes<lanes>(
        count, [=](std::size_t lane, std::size_t i) { indices[table[lane * bins + distance(i)]++] = index(i); });
  }
  Number beyond;  // dummy target for items beyond the limit: a branch would often be mispredicted
  for_each_in_lanes<lanes>(count, [=, &beyond](std::size_t lane, std::size_t i) {
    const std::uint32_t place = table[lane * bins + distance(i)]++;
    *(place < limit ? indices + place : &beyond) = index(i);
  });
}

// Sorts `count` items and writes the distance(i) and index(i) of the first `limit`. distance(i) must be below `bins`.
template <class Distance, class Index, class Number>
void sort_by_distance(std::size_t count, std::size_t bins, std::size_t limit, Distance distance, Index index,
                      std::int32_t* distances, Number* indices) {
  constexpr std::size_t bins_per_item = 8, items_per_bin = 4;
  if (bins > bins_per_item * count) return sort_few_by_distance(count, limit, distance, index, distances, indices);
  if (count < items_per_bin * bins) return sort_in_lanes<1>(count, bins, limit, distance, index, distances, indices);
  sort_in_lanes<4>(count, bins, limit, distance, index, distances, indices);
}

}  // namespace vtsearch
