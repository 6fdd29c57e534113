#include "hamming/counter.h"

#include <algorithm>

#include "hamming/bits.h"

namespace vtsearch {
namespace {

// The bitmaps of the tile from item `first` on, written to `here`; null if there are none.
QueryItems from_item(const ItemsByQuery* items, std::size_t first, ItemsByQuery& here) {
  if (items == nullptr) return nullptr;
  for (std::size_t q = 0; q < here.size(); ++q) {
    here[q] = (*items)[q] == nullptr ? nullptr : (*items)[q] + first / 64;
  }
  return here.data();
}

}  // namespace

template <class Distances>
void RowCounter<Distances>::add(const Tile& tile, const ItemsByQuery* allowed, const ItemsByQuery* relevant) {
  const std::size_t words = words_for(tile.count);
  distances_.for_each_query(tile, [&](std::size_t q, const auto* distances) {
    std::uint32_t* items = counts_.items.data() + q * counts_.bins;
    const std::uint64_t* mine = allowed == nullptr ? nullptr : (*allowed)[q];
    if (mine == nullptr) {
      distances_.count()(distances, tile.count, counts_.bins, items);
    } else {
      for_each_bit(mine, words, [&](std::size_t i) { ++items[distances[i]]; });
    }
    const std::uint64_t* wanted = relevant == nullptr ? nullptr : (*relevant)[q];
    if (wanted == nullptr) return;
    std::uint32_t* row = counts_.relevant.data() + q * counts_.bins;
    for_each_bit(wanted, words, [&](std::size_t i) {
      row[distances[i]] += mine == nullptr ? 1 : static_cast<std::uint32_t>((mine[i / 64] >> (i % 64)) & 1);
    });
  });
}

BitSlicedCounter::BitSlicedCounter(const Kernels& kernels, CodeView queries)
    : kernels_(kernels, queries.width),
      queries_(queries),
      block_(queries.width),
      words_(counter_words(queries_.view().units)),
      items_(queries.count * words_),
      allowed_here_(queries.count),
      relevant_here_(queries.count),
      counts_(queries.count, queries.bins()) {}

void BitSlicedCounter::add(const Tile& tile, const ItemsByQuery* allowed, const ItemsByQuery* relevant) {
  if (relevant != nullptr && relevant_.empty()) relevant_.resize(items_.size());
  for (std::size_t first = 0; first < tile.count; first += block_items) {
    block_.set(kernels_, tile, first);
    kernels_.count(block_.rows(), queries_.view(), block_.items(), from_item(allowed, first, allowed_here_),
                   items_.data(), from_item(relevant, first, relevant_here_), relevant_.data());
    if (++blocks_ == max_blocks_counted) spill();
  }
}

DistanceCounts BitSlicedCounter::finish() {
  spill();
  return std::move(counts_);
}

// Adds the 16-bit counters to the 32-bit histograms before they can overflow. The words of one group of four distances
// are summed as two 32-bit counts at a time.
void BitSlicedCounter::spill() {
  constexpr std::uint64_t even = 0x0000ffff0000ffffu;
  const auto move = [&](std::vector<std::uint64_t>& small, std::vector<std::uint32_t>& large) {
    for (std::size_t first = 0; first < small.size(); first += block_words) {
      std::uint64_t sums[2] = {0, 0};
      for (std::size_t w = first; w < first + block_words; ++w) {
        sums[0] += small[w] & even;
        sums[1] += (small[w] >> 16) & even;
      }
      const std::size_t q = first / words_, d = first % words_ / block_words * distances_per_word;
      for (std::size_t i = 0; i < distances_per_word && d + i < counts_.bins; ++i) {
        large[q * counts_.bins + d + i] += static_cast<std::uint32_t>(sums[i % 2] >> (i / 2 * 32));
      }
    }
    std::fill(small.begin(), small.end(), 0);
  };
  move(items_, counts_.items);
  move(relevant_, counts_.relevant);
  blocks_ = 0;
}

Counter::Form Counter::make(const Kernels& kernels, const Queries& queries, std::size_t items) {
  if (queries.weights != nullptr) return RowCounter<WeightedDistances>(kernels, queries);
  if (is_bit_sliced(kernels, queries.count, items)) return BitSlicedCounter(kernels, queries);
  if (has_byte_distances(queries.width)) return RowCounter<TileDistances<std::uint8_t>>(kernels, queries);
  return RowCounter<TileDistances<std::uint16_t>>(kernels, queries);
}

template class RowCounter<TileDistances<std::uint8_t>>;
template class RowCounter<TileDistances<std::uint16_t>>;
template class RowCounter<WeightedDistances>;

}  // namespace vtsearch
