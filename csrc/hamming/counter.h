// How many items lie at each distance from each query: tile by tile, from rows for a few queries, from blocks for many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "codes.h"
#include "hamming/bit_sliced_blocks.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "simd/kernels.h"

namespace vtsearch {

// Both (queries, bins), of fewer than 2^32 items.
struct DistanceCounts {
  std::size_t bins;
  std::vector<std::uint32_t> items;
  std::vector<std::uint32_t> relevant;

  DistanceCounts(std::size_t queries, std::size_t bins_)
      : bins(bins_), items(queries * bins_), relevant(queries * bins_) {}
};

// For each query which items of a tile are relevant to it: item i at bit i % 64 of word i / 64; null for none.
using RelevantItems = std::vector<const std::uint64_t*>;

template <class Distance>
class RowCounter {
 public:
  RowCounter(const Kernels& kernels, CodeView queries)
      : distances_(kernels, queries), counts_(queries.count, queries.bins()) {}

  void add(const Tile& tile, const RelevantItems* relevant);
  DistanceCounts finish() { return std::move(counts_); }

 private:
  TileDistances<Distance> distances_;
  DistanceCounts counts_;
};

class BitSlicedCounter {
 public:
  BitSlicedCounter(const Kernels& kernels, CodeView queries);

  void add(const Tile& tile, const RelevantItems* relevant);
  DistanceCounts finish();

 private:
  void spill();

  BitSlicedWidthKernels kernels_;
  BitSlicedQuerySet queries_;
  BitSlicedBlock block_;
  std::size_t words_;                    // counters of one query
  std::size_t blocks_ = 0;               // counted since they were 0
  std::vector<std::uint64_t> items_;     // (queries, words)
  std::vector<std::uint64_t> relevant_;  // the same, once it is needed
  RelevantItems relevant_here_;
  DistanceCounts counts_;
};

// Queries for one Counter: what it keeps of them stays in the second-level cache.
inline constexpr std::size_t queries_per_counter = 512;

class Counter {
 public:
  Counter(const Kernels& kernels, CodeView queries) : form_(make(kernels, queries)) {}

  // Counts all items of a tile, and those that are relevant to each query, if any are.
  void add(const Tile& tile, const RelevantItems* relevant = nullptr) {
    std::visit([&](auto& form) { form.add(tile, relevant); }, form_);
  }

  // To be called once, at the end.
  DistanceCounts finish() {
    return std::visit([](auto& form) { return form.finish(); }, form_);
  }

 private:
  using Form = std::variant<RowCounter<std::uint8_t>, RowCounter<std::uint16_t>, BitSlicedCounter>;
  static Form make(const Kernels& kernels, CodeView queries);

  Form form_;
};

}  // namespace vtsearch
