#include "hamming/rank_by_sorting.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "hamming/counting_sort.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/weighted_queries.h"
#include "hamming/width_kernels.h"

namespace vtsearch {
namespace {

// Up to this number of items, indices are scattered to the result: it fits a second-level cache.
constexpr std::size_t scattered_items = 65536;

// Computes all distances of a range, for the queries of one kernel call at a time, and sorts them.
// `Distances` computes them: TileDistances or WeightedDistances.
template <class Distances>
class RangeSorter {
 public:
  explicit RangeSorter(const RankWork& work)
      : work_(work),
        rows_(std::min(queries_per_call, work.queries.count) * work.items),
        numbers_(work.masks.first.data == nullptr ? 0 : work.items) {}

  void sort(Results results) {
    for (std::size_t first = 0; first < work_.queries.count; first += queries_per_call) {
      const std::size_t count = std::min(queries_per_call, work_.queries.count - first);
      fill_rows(work_.queries.part({first, first + count}));
      for (std::size_t q = 0; q < count; ++q, work_.cancellation_point()) sort_row(q, results.from_row(first + q));
    }
  }

 private:
  using Distance = typename Distances::Distance;

  void fill_rows(const Queries& queries) {
    Distances tile_distances(work_.kernels, queries);
    TileReader reader(work_.database, work_.masks.first, work_.range);
    std::size_t filled = 0;
    for (Tile tile; reader.next(tile); work_.cancellation_point()) {
      if (tile.items != nullptr) std::copy_n(tile.items, tile.count, numbers_.data() + filled);
      tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
        std::copy_n(distances, tile.count, rows_.data() + q * work_.items + filled);
      });
      filled += tile.count;
    }
  }

  // Inlined, GCC 12 runs out of registers in the sorting loops: a whole ranking took 5 to 10 % longer.
  VTSEARCH_NOINLINE void sort_row(std::size_t q, Results out) {
    const auto begin = static_cast<std::int64_t>(work_.range.begin);
    if (!numbers_.empty()) {
      sort_in_cache(q, out, [begin, numbers = numbers_.data()](std::uint32_t i) { return begin + numbers[i]; });
    } else if (work_.items > scattered_items) {
      sort_in_cache(q, out, [begin](std::uint32_t i) { return begin + std::int64_t{i}; });
    } else {
      sort_row(q, out.distances, out.indices, [begin](std::size_t i) { return begin + static_cast<std::int64_t>(i); });
    }
  }

  // Positions are half as long as indices, and are scattered; the indices then go to memory one after the other.
  template <class Index>
  void sort_in_cache(std::size_t q, Results out, Index index) {
    positions_.resize(work_.items);
    std::uint32_t* positions = positions_.data();
    sort_row(q, out.distances, positions, [](std::size_t i) { return static_cast<std::uint32_t>(i); });
    for (std::size_t i = 0; i < work_.k; ++i) out.indices[i] = index(positions[i]);
  }

  template <class Number, class Index>
  void sort_row(std::size_t q, std::int32_t* distances, Number* indices, Index index) const {
    const auto distance = [row = rows_.data() + q * work_.items](std::size_t i) { return std::size_t{row[i]}; };
    sort_by_distance(work_.items, work_.queries.bins(), work_.k, distance, index, distances, indices);
  }

  const RankWork& work_;
  std::vector<Distance> rows_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::uint32_t> positions_;
};

}  // namespace

void rank_by_sorting(const RankWork& work, Results results) {
  with_distances(work.queries,
                 [&](auto distances) { RangeSorter<typename decltype(distances)::type>(work).sort(results); });
}

}  // namespace vtsearch
