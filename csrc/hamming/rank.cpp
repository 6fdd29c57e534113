#include "hamming/rank.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compiler.h"
#include "hamming/counter.h"
#include "hamming/counting_sort.h"
#include "hamming/padding.h"
#include "hamming/scanner.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/top_k.h"
#include "hamming/width_kernels.h"

namespace vtsearch {
namespace {

// Rows of `columns` results each, owned by the caller.
struct Results {
  std::int32_t* distances;
  std::int64_t* indices;
  std::size_t columns;

  Results from_row(std::size_t row) const { return {distances + row * columns, indices + row * columns, columns}; }
};

// Limit on the bytes of hits per block of queries: every tile appends to all lists, so they should stay in the cache.
constexpr std::size_t selection_bytes = 2 << 20;

// Initial capacity of a hit list; rarely exceeded.
std::size_t hits_reserved(std::size_t k) {
  return 2 * k + 256;
}

// For k >= items / 4, sorting all items is faster than top-k selection.
constexpr std::size_t sorted_share = 4;

bool sorts(std::size_t k, std::size_t items) {
  return k * sorted_share >= items;
}

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

// Padded codes of about `size` items spread over a range, without masked items.
std::vector<std::uint8_t> sample(CodeView database, MaskView mask, Range range, std::size_t size) {
  const std::size_t padded = padded_width(database.width);
  const std::size_t step = range.count() / size;
  std::vector<std::uint8_t> codes;
  codes.reserve(size * padded);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t item =
        range.begin + i * step + i * 2654435761u % step;  // jittered, since databases can be periodic
    if (!mask.allows(item)) continue;
    codes.insert(codes.end(), database.code(item), database.code(item) + database.width);
    codes.resize(codes.size() + padded - database.width);
  }
  return codes;
}

// One block of queries over one range.
struct Work {
  const Kernels& kernels;
  CodeView queries;
  CodeView database;
  MaskView mask;
  Range range;
  std::size_t items;  // of the range, allowed by the mask
  std::size_t k;
  HitLists& hits;  // reused by all blocks of a thread
  CancellationPoint& cancellation_point;
};

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

// For each query a distance with at least k items below it: certainly in a short range, probably in a long one.
std::vector<std::size_t> guess_ceilings(const Work& work) {
  Counter counter(work.kernels, work.queries);
  const std::size_t size = sample_size(work.range.count(), work.k);
  if (size == 0) {
    TileReader reader(work.database, work.mask, work.range);
    for (Tile tile; reader.next(tile);) counter.add(tile);
    return ceilings_of(counter.finish(), work.queries.count, work.k);
  }
  const auto codes = sample(work.database, work.mask, work.range, size);
  const std::size_t padded = padded_width(work.database.width), sampled = codes.size() / padded;
  for (std::size_t first = 0; first < sampled; first += block_items) {
    counter.add({codes.data() + first * padded, std::min(block_items, sampled - first), nullptr, 0});
  }
  // The number of the k nearest items in the sample is about Poisson distributed; with a margin of 2.5 standard
  // deviations the estimate is rarely too low.
  const double share = static_cast<double>(sampled) / static_cast<double>(work.items);
  const double expected = static_cast<double>(work.k) * share;
  const auto needed = static_cast<std::size_t>(expected + 2.5 * std::sqrt(expected) + 2.0);
  return ceilings_of(counter.finish(), work.queries.count, needed);
}

// Top-k selection below the given ceilings. Returns the queries whose ceiling was too low; their rows are not filled.
std::vector<std::size_t> select_below(const Work& work, const std::vector<std::size_t>& ceilings, Results results) {
  Scanner scanner(work.kernels, work.queries);
  HitLists& hits = work.hits;
  if (hits.size() < work.queries.count) hits.resize(work.queries.count);
  std::vector<TopK> selections;
  selections.reserve(work.queries.count);
  for (std::size_t q = 0; q < work.queries.count; ++q) {
    selections.emplace_back(work.k, work.database.bins(), ceilings[q]);
    scanner.set_threshold(q, ceilings[q]);
    hits[q].clear();
    hits[q].reserve(hits_reserved(work.k));
  }
  TileReader reader = scanner.tiles(work.database, work.mask, work.range, work.items);
  for (Tile tile; reader.next(tile); work.cancellation_point()) {
    scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
      if (selections[q].add(hits[q], count)) scanner.set_threshold(q, selections[q].threshold());
    });
  }
  std::vector<std::size_t> missed;
  for (std::size_t q = 0; q < work.queries.count; ++q) {
    const Results row = results.from_row(q);
    if (selections[q].complete()) {
      selections[q].finish(hits[q], work.range.begin, row.distances, row.indices);
    } else {
      missed.push_back(q);
    }
  }
  return missed;
}

void select_range(const Work& work, Results results) {
  for (const std::size_t q : select_below(work, guess_ceilings(work), results)) {
    Work again = work;
    again.queries = {work.queries.code(q), 1, work.queries.width};
    select_below(again, {work.database.bins()}, results.from_row(q));
  }
}

// Up to this number of items, indices are scattered to the result: it fits a second-level cache.
constexpr std::size_t scattered_items = 65536;

// Computes all distances of a range, for the queries of one kernel call at a time, and sorts them.
template <class Distance>
class RangeSorter {
 public:
  explicit RangeSorter(const Work& work)
      : work_(work),
        rows_(std::min(queries_per_call, work.queries.count) * work.items),
        numbers_(work.mask.data == nullptr ? 0 : work.items) {}

  void sort(Results results) {
    for (std::size_t first = 0; first < work_.queries.count; first += queries_per_call) {
      const std::size_t count = std::min(queries_per_call, work_.queries.count - first);
      fill_rows({work_.queries.code(first), count, work_.queries.width});
      for (std::size_t q = 0; q < count; ++q, work_.cancellation_point()) sort_row(q, results.from_row(first + q));
    }
  }

 private:
  void fill_rows(CodeView queries) {
    TileDistances<Distance> tile_distances(work_.kernels, queries);
    TileReader reader(work_.database, work_.mask, work_.range);
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
    sort_by_distance(work_.items, work_.database.bins(), work_.k, distance, index, distances, indices);
  }

  const Work& work_;
  std::vector<Distance> rows_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::uint32_t> positions_;
};

void rank_range(const Work& work, Results results) {
  if (!sorts(work.k, work.items)) return select_range(work, results);
  with_distance_type(work.database.width, [&](auto distance) { RangeSorter<decltype(distance)>(work).sort(results); });
}

// The results of each range, merged by a counting sort on the distance. Ranges are visited in order of the index, so
// the stable sort breaks ties by index.
class PartialResults {
 public:
  PartialResults(const Plan& plan, std::size_t queries, CodeView database, MaskView mask, std::size_t k)
      : bins_(database.bins()) {
    for (Range range : plan.ranges) {
      Part& part = parts_.emplace_back();
      part.columns = std::min(k, allowed_items(mask, range));
      part.distances.resize(queries * part.columns);
      part.indices.resize(queries * part.columns);
    }
  }

  Results of_range(std::size_t number) {
    Part& part = parts_[number];
    return {part.distances.data(), part.indices.data(), part.columns};
  }

  void merge(std::size_t q, Results row) const {
    std::vector<std::size_t> offsets(bins_ + 1, 0);
    for_each(q, [&](std::int32_t distance, std::int64_t) { ++offsets[static_cast<std::size_t>(distance) + 1]; });
    for (std::size_t d = 0; d < bins_; ++d) offsets[d + 1] += offsets[d];
    for_each(q, [&](std::int32_t distance, std::int64_t index) {
      const std::size_t place = offsets[static_cast<std::size_t>(distance)]++;
      if (place >= row.columns) return;
      row.distances[place] = distance;
      row.indices[place] = index;
    });
  }

 private:
  struct Part {
    std::size_t columns;
    std::vector<std::int32_t> distances;
    std::vector<std::int64_t> indices;
  };

  template <class Visit>
  void for_each(std::size_t q, Visit&& visit) const {
    for (const Part& part : parts_) {
      for (std::size_t i = q * part.columns; i < (q + 1) * part.columns; ++i) visit(part.distances[i], part.indices[i]);
    }
  }

  std::vector<Part> parts_;
  std::size_t bins_;
};

}  // namespace

std::size_t rank_columns(CodeView database, std::size_t k, MaskView mask) {
  return std::min(k, allowed_items(mask, {0, database.count}));
}

void rank(const Kernels& kernels, CodeView queries, CodeView database, std::size_t columns, MaskView mask,
          std::size_t threads, Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices) {
  if (columns == 0 || queries.count == 0) return;
  const std::size_t bytes_per_query = hits_reserved(columns) * (sizeof(std::uint32_t) + sizeof(std::uint16_t));
  const std::size_t max_queries = std::min(queries_per_block, selection_bytes / bytes_per_query);
  const Plan plan = plan_work(queries.count, database.count, threads, max_queries);
  std::vector<HitLists> hits(plan.threads);
  const auto rank_task = [&](std::size_t task, CancellationPoint& cancellation_point, Results results) {
    const Range block = plan.query_block(task);
    const CodeView codes = queries.part(block);
    const Range range = plan.range(task);
    const Work work{kernels,
                    codes,
                    database,
                    mask,
                    range,
                    allowed_items(mask, range),
                    results.columns,
                    hits[cancellation_point.thread()],
                    cancellation_point};
    rank_range(work, results.from_row(block.begin));
  };
  const Results all{distances, indices, columns};
  if (plan.ranges.size() == 1) {
    return parallel_for(
        plan.tasks(), plan.threads, cancellation,
        [&](std::size_t task, CancellationPoint& cancellation_point) { rank_task(task, cancellation_point, all); });
  }
  PartialResults partial(plan, queries.count, database, mask, columns);
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Results results = partial.of_range(plan.range_number(task));
    if (results.columns != 0) rank_task(task, cancellation_point, results);
  });
  for (std::size_t q = 0; q < queries.count; ++q) partial.merge(q, all.from_row(q));
}

}  // namespace vtsearch
