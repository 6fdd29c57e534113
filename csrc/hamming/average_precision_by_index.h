// Average precision of the order by (distance, index), in which each item has one rank, as sums that the parts of a
// database add to one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming/parallel.h"
#include "hamming/relevance.h"
#include "simd/kernels.h"

namespace vtsearch {

// Histograms of all parts together, of shape (queries, bins), and the rank up to which items count.
struct WholeCounts {
  const std::int64_t* items;
  const std::int64_t* relevant;
  std::size_t bins;
  std::size_t k;

  // The largest number of items that one of some queries may find.
  std::size_t most(Range queries) const {
    std::size_t most = 0;
    for (std::size_t q = queries.begin; q < queries.end; ++q) {
      std::size_t sum = 0;
      for (std::size_t d = 0; d < bins; ++d) sum += static_cast<std::size_t>(items[q * bins + d]);
      most = sum > most ? sum : most;
    }
    return most;
  }
};

// What the parts before have, and afterwards, with this part.
struct IndexOrderSums {
  std::int64_t* items_before;  // (queries, bins); afterwards of the distances that rank k reaches. Null: the only part
  std::int64_t* relevant_before;  // of these items
  double* sums;                   // (queries,): of the precisions at the relevant items of rank k or less
  std::int64_t* retrieved;        // (queries,): how many these are
};

// Items of this part that single queries do not find: query q those at offsets[q] .. offsets[q + 1] - 1, ascending.
// Null pointers exclude none.
struct Exclusions {
  const std::int64_t* offsets = nullptr;
  const std::int64_t* items = nullptr;

  const std::int64_t* begin(std::size_t q) const { return offsets == nullptr ? items : items + offsets[q]; }
  const std::int64_t* end(std::size_t q) const { return offsets == nullptr ? items : items + offsets[q + 1]; }
};

// Adds the items of `data`, a part of a database, to `state`.
void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, const WholeCounts& whole,
                                const Exclusions& exclusions, std::size_t threads, Cancellation& cancellation,
                                const IndexOrderSums& state);

}  // namespace vtsearch
