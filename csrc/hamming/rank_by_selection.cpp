#include "hamming/rank_by_selection.h"

#include <algorithm>
#include <cmath>

#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/scanner.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Size of the sample from which the distance of the k-th item is estimated. The sampled items are spread over the
// range, because databases are often sorted. A larger k gets a larger sample: a better estimate then saves more than it
// costs.
constexpr std::size_t max_sampled_blocks = 12;
constexpr std::size_t k_per_sampled_block = 25;
constexpr std::size_t min_items_per_sampled = 4;  // a shorter range is not sampled but counted in full

std::size_t sample_size(std::size_t items, std::size_t k) {
  const std::size_t blocks = std::clamp<std::size_t>(k / k_per_sampled_block, 1, max_sampled_blocks);
  return std::min(blocks * block_items, items / min_items_per_sampled / block_items * block_items);
}

// `count` items spread over a range, jittered, since databases can be periodic.
struct Sample {
  Range range;
  std::size_t count;

  std::size_t item(std::size_t i) const {
    const std::size_t step = range.count() / count;
    return range.begin + i * step + i * 2654435761u % step;
  }

  // Padded codes of the items that a mask allows.
  std::vector<std::uint8_t> codes(CodeView database, MaskView mask) const {
    std::vector<std::uint8_t> codes;
    codes.reserve(count * padded_width(database.width));
    for (std::size_t i = 0; i < count; ++i) {
      if (mask.allows(item(i))) append_padded(database.code(item(i)), database.width, codes);
    }
    return codes;
  }

  // The bits of those of up to 512 items, from number `first` on, that a mask allows.
  BlockItems allowed(MaskView mask, std::size_t first) const {
    BlockItems bits{};
    for (std::size_t w = 0; w < block_words; ++w) {
      std::uint64_t word = 0;
      for (std::size_t i = first + 64 * w; i < std::min(first + 64 * (w + 1), count); ++i) {
        word |= std::uint64_t{mask.allows(item(i))} << (i % 64);
      }
      bits.word[w] = word;
    }
    return bits;
  }
};

// Hits beyond the first k, with which the threshold is lowered. Weighted distances have many values: it would fall with
// nearly every hit, and to find it takes as long as to scan a tile.
std::size_t patience(const RankWork& work) {
  return work.queries.weights == nullptr ? 0 : work.k / 4 + 16;
}

// For each query the smallest distance with at least `needed` counted items below it; `bins` if there is none.
std::vector<std::size_t> ceilings_of(const DistanceCounts& counts, std::size_t queries, std::size_t needed) {
  std::vector<std::size_t> ceilings(queries, counts.bins);
  for (std::size_t q = 0; q < queries; ++q) {
    std::size_t sum = 0;
    for (std::size_t d = 0; d < counts.bins && ceilings[q] == counts.bins; ++d) {
      sum += counts.items[q * counts.bins + d];
      if (sum >= needed) ceilings[q] = d + 1;
    }
  }
  return ceilings;
}

// Counts about `size` items spread over the range; returns how many they are, those included that some query may not
// find.
std::size_t count_sample(const RankWork& work, std::size_t size, Counter& counter) {
  const Sample sample{work.range, size};
  const auto codes = sample.codes(work.database, work.masks.shared());
  const std::size_t padded = padded_width(work.database.width), sampled = codes.size() / padded;
  std::vector<BlockItems> bits(work.masks.by_query() ? work.queries.count : 0);
  ItemsByQuery allowed;
  for (const BlockItems& items : bits) allowed.push_back(items.word);
  for (std::size_t first = 0; first < sampled; first += block_items) {
    for (std::size_t q = 0; q < bits.size(); ++q) bits[q] = sample.allowed(work.masks.of(q), first);
    counter.add({codes.data() + first * padded, std::min(block_items, sampled - first), nullptr, 0},
                bits.empty() ? nullptr : &allowed);
  }
  return sampled;
}

// Counts all items of the range.
void count_all(const RankWork& work, Counter& counter) {
  TileReader reader(work.database, work.masks.shared(), work.range);
  TileMasks masks(work.masks, work.queries, work.range.begin);
  for (Tile tile; reader.next(tile);) counter.add(tile, masks.of(tile));
}

}  // namespace

std::vector<std::size_t> guess_ceilings(const RankWork& work) {
  const std::size_t size = sample_size(work.range.count(), work.k);
  Counter counter(work.kernels, work.queries, size == 0 ? work.items : size);
  if (size == 0) {
    count_all(work, counter);
    return ceilings_of(counter.finish(), work.queries.count, work.k);
  }
  // The number of the k nearest items in the sample is about Poisson distributed; with a margin of 2.5 standard
  // deviations the estimate is rarely too low.
  const double sampled = static_cast<double>(count_sample(work, size, counter));
  const double expected = static_cast<double>(work.k) * sampled / static_cast<double>(work.items);
  const auto needed = static_cast<std::size_t>(expected + 2.5 * std::sqrt(expected) + 2.0);
  return ceilings_of(counter.finish(), work.queries.count, needed);
}

std::vector<TopK> scan_below(const RankWork& work, const std::vector<std::size_t>& ceilings) {
  Scanner scanner(work.kernels, work.queries, work.items, work.masks, work.range.begin);
  HitLists& hits = work.hits;
  if (hits.size() < work.queries.count) hits.resize(work.queries.count);
  std::vector<TopK> selections;
  selections.reserve(work.queries.count);
  for (std::size_t q = 0; q < work.queries.count; ++q) {
    selections.emplace_back(work.k, work.queries.bins(), ceilings[q], patience(work));
    scanner.set_threshold(q, ceilings[q]);
    hits[q].clear();
    hits[q].reserve(hits_reserved(work.k));
  }
  TileReader reader = scanner.tiles(work.database, work.masks.shared(), work.range, work.items);
  for (Tile tile; reader.next(tile); work.cancellation_point()) {
    scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
      if (selections[q].add(hits[q], count)) scanner.set_threshold(q, selections[q].threshold());
    });
  }
  return selections;
}

std::vector<std::size_t> select_below(const RankWork& work, const std::vector<std::size_t>& ceilings, Results results) {
  const std::vector<TopK> selections = scan_below(work, ceilings);
  std::vector<std::size_t> missed;
  for (std::size_t q = 0; q < work.queries.count; ++q) {
    const Results row = results.from_row(q);
    if (selections[q].complete()) {
      selections[q].finish(work.hits[q], work.range.begin, row.distances, row.indices);
    } else {
      missed.push_back(q);
    }
  }
  return missed;
}

void rank_by_selection(const RankWork& work, Results results) {
  for (const std::size_t q : select_below(work, guess_ceilings(work), results)) {
    RankWork again = work;
    again.queries = work.queries.part({q, q + 1});
    again.masks = work.masks.from(q);
    select_below(again, {work.queries.bins()}, results.from_row(q));
  }
}

}  // namespace vtsearch
