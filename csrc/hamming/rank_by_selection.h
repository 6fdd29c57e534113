// Rankings of which k is a small part of the items: one scan below a threshold that decreases.
#pragma once

#include <cstddef>
#include <vector>

#include "hamming/rank_work.h"
#include "hamming/top_k.h"

namespace vtsearch {

// Initial capacity of a hit list; rarely exceeded.
inline std::size_t hits_reserved(std::size_t k) {
  return 2 * k + 256;
}

// Fills the first k columns of all rows, or as many as there are items that the query may find.
void rank_by_selection(const RankWork& work, Results results);

// For each query a distance with at least k items below it: certainly in a short range, probably in a long one.
std::vector<std::size_t> guess_ceilings(const RankWork& work);

// Top-k selection below the given ceilings, of the hits that it collects in `work.hits`.
std::vector<TopK> scan_below(const RankWork& work, const std::vector<std::size_t>& ceilings);

// Fills rows from items below the given ceilings. Returns the queries whose ceiling was too low; theirs are not filled.
std::vector<std::size_t> select_below(const RankWork& work, const std::vector<std::size_t>& ceilings, Results results);

}  // namespace vtsearch
