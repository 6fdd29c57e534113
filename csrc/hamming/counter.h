// Distance histograms of queries, tile by tile: from rows for a few queries, from bit-sliced blocks for many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "codes.h"
#include "hamming/bit_sliced_blocks.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/weighted_queries.h"
#include "simd/kernels.h"

namespace vtsearch {

// Two (queries, bins) histograms; a bin holds fewer than 2^32 items.
struct DistanceCounts {
  std::size_t bins;
  std::vector<std::uint32_t> items;
  std::vector<std::uint32_t> relevant;

  DistanceCounts(std::size_t queries, std::size_t bins_)
      : bins(bins_), items(queries * bins_), relevant(queries * bins_) {}
};

// For each query a bitmap of items of a tile; of relevant ones, null if there are none.
using ItemsByQuery = std::vector<const std::uint64_t*>;

// `Distances` computes them: TileDistances or WeightedDistances.
template <class Distances>
class RowCounter {
 public:
  RowCounter(const Kernels& kernels, const Queries& queries)
      : distances_(kernels, queries), counts_(queries.count, queries.bins()) {}

  void add(const Tile& tile, const ItemsByQuery* allowed, const ItemsByQuery* relevant);
  DistanceCounts finish() { return std::move(counts_); }

 private:
  Distances distances_;
  DistanceCounts counts_;
};

class BitSlicedCounter {
 public:
  BitSlicedCounter(const Kernels& kernels, CodeView queries);

  void add(const Tile& tile, const ItemsByQuery* allowed, const ItemsByQuery* relevant);
  DistanceCounts finish();

 private:
  void spill();

  BitSlicedWidthKernels kernels_;
  BitSlicedQuerySet queries_;
  BitSlicedBlock block_;
  std::size_t words_;                    // words of counters per query
  std::size_t blocks_ = 0;               // blocks counted since the last spill
  std::vector<std::uint64_t> items_;     // (queries, words)
  std::vector<std::uint64_t> relevant_;  // the same; empty until first used
  ItemsByQuery allowed_here_;
  ItemsByQuery relevant_here_;
  DistanceCounts counts_;
};

// Largest number of queries of one Counter, so that its counters stay in the second-level cache.
inline std::size_t queries_per_counter(const Queries& queries) {
  constexpr std::size_t least = 16, most = 512, bytes = 1 << 20;
  if (queries.weights == nullptr) return most;
  return std::clamp(bytes / (2 * sizeof(std::uint32_t) * queries.bins()), least, most);
}

class Counter {
 public:
  // For about so many items.
  Counter(const Kernels& kernels, const Queries& queries, std::size_t items) : form_(make(kernels, queries, items)) {}

  // Counts the items of a tile, of each query those that are allowed, if `allowed` is given, and the relevant ones
  // among them, if `relevant` is.
  void add(const Tile& tile, const ItemsByQuery* allowed = nullptr, const ItemsByQuery* relevant = nullptr) {
    std::visit([&](auto& form) { form.add(tile, allowed, relevant); }, form_);
  }

  // Returns the histograms. Call it once, at the end.
  DistanceCounts finish() {
    return std::visit([](auto& form) { return form.finish(); }, form_);
  }

 private:
  using Form = std::variant<RowCounter<TileDistances<std::uint8_t>>, RowCounter<TileDistances<std::uint16_t>>,
                            BitSlicedCounter, RowCounter<WeightedDistances>>;
  static Form make(const Kernels& kernels, const Queries& queries, std::size_t items);

  Form form_;
};

}  // namespace vtsearch
