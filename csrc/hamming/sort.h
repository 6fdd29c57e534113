// A stable counting sort by distance: the order of arrival, which is that of the index, breaks ties.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vtsearch {

// Writes the first `limit` of `count` items, nearest first. distance(i) is below `bins`; index(i) is what is written.
//
// The items are taken from four places at once, each with counters of its own: one counter after the other would be
// waiting for its own last increment.
template <class Distance, class Index>
void sort_by_distance(std::size_t count, std::size_t bins, std::size_t limit, Distance&& distance, Index&& index,
                      std::int32_t* distances, std::int64_t* indices) {
  constexpr std::size_t lanes = 4;
  const std::size_t length = count / lanes;  // of a lane; the last one takes what is left over
  std::vector<std::uint32_t> places(lanes * bins);
  const auto for_each = [&](auto&& visit) {
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) visit(lane, lane * length + i);
    }
    for (std::size_t i = lanes * length; i < count; ++i) visit(lanes - 1, i);
  };
  const auto place = [&](std::size_t lane, std::size_t i) -> std::uint32_t& {
    return places[lane * bins + static_cast<std::size_t>(distance(i))];
  };
  for_each([&](std::size_t lane, std::size_t i) { ++place(lane, i); });
  std::uint32_t next = 0;
  for (std::size_t d = 0; d < bins; ++d) {
    const std::uint32_t first = next;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      next += std::exchange(places[lane * bins + d], next);
    }
    std::fill(distances + std::min<std::size_t>(first, limit), distances + std::min<std::size_t>(next, limit),
              static_cast<std::int32_t>(d));
  }
  std::int64_t beyond;  // takes what comes after the limit: a branch would be guessed wrong half of the time
  for_each([&](std::size_t lane, std::size_t i) {
    const std::uint32_t at = place(lane, i)++;
    *(at < limit ? indices + at : &beyond) = index(i);
  });
}

}  // namespace vtsearch
