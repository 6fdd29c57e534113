// Rankings of which k is a large part of the items: all distances, sorted.
#pragma once

#include <cstddef>

#include "hamming/rank_work.h"

namespace vtsearch {

// Whether sorting all items is faster than top-k selection.
inline bool sorts(std::size_t k, std::size_t items) {
  constexpr std::size_t sorted_share = 4, sorted_items = 192;
  return k * sorted_share >= items || items <= sorted_items;
}

// Fills the first k columns of all rows. The mask is the same for all queries.
void rank_by_sorting(const RankWork& work, Results results);

}  // namespace vtsearch
