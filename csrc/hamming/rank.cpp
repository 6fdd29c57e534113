#include "hamming/rank.h"

#include <algorithm>
#include <atomic>
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

// For k >= items / 4, and of few items, sorting all is faster than top-k selection.
constexpr std::size_t sorted_share = 4;
constexpr std::size_t sorted_items = 192;

bool sorts(std::size_t k, std::size_t items) {
  return k * sorted_share >= items || items <= sorted_items;
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
  const std::size_t size = sample_size(work.range.count(), work.k);
  Counter counter(work.kernels, work.queries, size == 0 ? work.items : size);
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

// Top-k selection below the given ceilings, of the hits that it collects in `work.hits`.
std::vector<TopK> scan_below(const Work& work, const std::vector<std::size_t>& ceilings) {
  Scanner scanner(work.kernels, work.queries, work.items);
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
  return selections;
}

// Returns the queries whose ceiling was too low; their rows are not filled.
std::vector<std::size_t> select_below(const Work& work, const std::vector<std::size_t>& ceilings, Results results) {
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

void sort_range(const Work& work, Results results) {
  with_distance_type(work.database.width, [&](auto distance) { RangeSorter<decltype(distance)>(work).sort(results); });
}

// For each query a distance that none of its k nearest items reaches, if the first estimate was not too low. A range in
// which k items are at a distance or below lowers it to the next one, since items of other ranges may tie with them.
class SharedCeilings {
 public:
  SharedCeilings(std::size_t queries, std::size_t k) : k_(k), ceilings_(queries) {}

  std::size_t k() const { return k_; }
  void set(std::size_t first, const std::vector<std::size_t>& ceilings) {
    std::copy(ceilings.begin(), ceilings.end(), ceilings_.begin() + static_cast<std::ptrdiff_t>(first));
  }

  std::vector<std::size_t> of(Range queries) const {
    std::vector<std::size_t> ceilings;
    for (std::size_t q = queries.begin; q < queries.end; ++q) {
      ceilings.push_back(ceilings_[q].load(std::memory_order_relaxed));
    }
    return ceilings;
  }

  void lower(std::size_t q, std::size_t ceiling) {
    std::size_t before = ceilings_[q].load(std::memory_order_relaxed);
    while (ceiling < before && !ceilings_[q].compare_exchange_weak(before, ceiling, std::memory_order_relaxed)) {
    }
  }

 private:
  std::size_t k_;
  std::vector<std::atomic<std::size_t>> ceilings_;
};

// The results of one range: for each query up to `columns` of its nearest items, all that are below the ceiling.
struct PartialResults {
  std::size_t columns;
  std::vector<std::int32_t> distances;
  std::vector<std::int64_t> indices;
  std::vector<std::size_t> counts;

  PartialResults(std::size_t queries, std::size_t columns_)
      : columns(columns_), distances(queries * columns), indices(queries * columns), counts(queries) {}

  // Ranks a block of queries that begins with `first`, under ceilings that it lowers for the ranges after it.
  void rank(const Work& work, std::size_t first, SharedCeilings& ceilings) {
    const Results rows = Results{distances.data(), indices.data(), columns}.from_row(first);
    if (sorts(work.k, work.items)) {
      sort_range(work, rows);
      std::fill_n(counts.begin() + static_cast<std::ptrdiff_t>(first), work.queries.count, columns);
      return;
    }
    const std::vector<TopK> selections = scan_below(work, ceilings.of({first, first + work.queries.count}));
    for (std::size_t q = 0; q < work.queries.count; ++q) {
      const Results row = rows.from_row(q);
      if (work.k == ceilings.k()) ceilings.lower(first + q, selections[q].threshold() + 1);
      selections[q].finish(work.hits[q], work.range.begin, row.distances, row.indices);
      counts[first + q] = std::min(columns, work.hits[q].size());
    }
  }

  template <class Visit>
  void for_each(std::size_t q, Visit&& visit) const {
    for (std::size_t i = q * columns; i < q * columns + counts[q]; ++i) visit(distances[i], indices[i]);
  }
};

// Merges the results of all ranges for one query by a counting sort on the distance. Ranges are in the order of the
// index, so the stable sort breaks ties by index. Returns whether the row is full, and of items below the ceiling.
bool merge(const std::vector<PartialResults>& parts, std::size_t q, std::size_t bins, std::size_t ceiling,
           Results row) {
  std::vector<std::size_t> offsets(bins + 1, 0);
  for (const PartialResults& part : parts) {
    part.for_each(q, [&](std::int32_t distance, std::int64_t) { ++offsets[static_cast<std::size_t>(distance) + 1]; });
  }
  for (std::size_t d = 0; d < bins; ++d) offsets[d + 1] += offsets[d];
  if (offsets[ceiling] < row.columns) return false;
  for (const PartialResults& part : parts) {
    part.for_each(q, [&](std::int32_t distance, std::int64_t index) {
      const std::size_t place = offsets[static_cast<std::size_t>(distance)]++;
      if (place >= row.columns) return;
      row.distances[place] = distance;
      row.indices[place] = index;
    });
  }
  return true;
}

// A ranking of all queries, in the tasks of a plan.
class Ranker {
 public:
  Ranker(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, const Plan& plan, Results results)
      : kernels_(kernels),
        queries_(queries),
        database_(database),
        mask_(mask),
        plan_(plan),
        results_(results),
        hits_(plan.threads) {}

  // One range: every block of queries fills its rows.
  void rank_whole(Cancellation& cancellation) {
    parallel_for(plan_.tasks(), plan_.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   const Range block = plan_.query_block(task);
                   const Work work = work_of(block, plan_.range(task), results_.columns, cancellation_point);
                   const Results rows = results_.from_row(block.begin);
                   if (sorts(work.k, work.items)) {
                     sort_range(work, rows);
                   } else {
                     select_range(work, rows);
                   }
                 });
  }

  // Several ranges, under ceilings that are estimated once for all of them: together they have few items below.
  void rank_ranges(Cancellation& cancellation) {
    const Range all{0, database_.count};
    const std::size_t blocks = plan_.queries.size(), columns = results_.columns;
    std::vector<std::vector<std::size_t>> guesses(blocks);
    SharedCeilings ceilings(queries_.count, columns);
    parallel_for(blocks, plan_.threads, cancellation, [&](std::size_t b, CancellationPoint& cancellation_point) {
      guesses[b] = guess_ceilings(work_of(plan_.queries[b], all, columns, cancellation_point));
      ceilings.set(plan_.queries[b].begin, guesses[b]);
    });
    std::vector<PartialResults> parts;
    for (const Range range : plan_.ranges) {
      parts.emplace_back(queries_.count, std::min(columns, allowed_items(mask_, range)));
    }
    parallel_for(plan_.tasks(), plan_.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   PartialResults& part = parts[plan_.range_number(task)];
                   if (part.columns == 0) return;
                   const Range block = plan_.query_block(task);
                   const Work work = work_of(block, plan_.range(task), part.columns, cancellation_point);
                   part.rank(work, block.begin, ceilings);
                 });
    parallel_for(blocks, plan_.threads, cancellation, [&](std::size_t b, CancellationPoint& cancellation_point) {
      const Range block = plan_.queries[b];
      for (std::size_t q = block.begin; q < block.end; ++q, cancellation_point()) {
        const Results row = results_.from_row(q);
        if (merge(parts, q, database_.bins(), guesses[b][q - block.begin], row)) continue;
        select_below(work_of({q, q + 1}, all, columns, cancellation_point), {database_.bins()}, row);
      }
    });
  }

 private:
  Work work_of(Range block, Range range, std::size_t k, CancellationPoint& cancellation_point) {
    return {kernels_,
            queries_.part(block),
            database_,
            mask_,
            range,
            allowed_items(mask_, range),
            k,
            hits_[cancellation_point.thread()],
            cancellation_point};
  }

  const Kernels& kernels_;
  CodeView queries_;
  CodeView database_;
  MaskView mask_;
  const Plan& plan_;
  Results results_;
  std::vector<HitLists> hits_;  // by thread
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
  const Plan plan = plan_work(queries.count, database.count, threads, max_queries, true);
  Ranker ranker(kernels, queries, database, mask, plan, {distances, indices, columns});
  if (plan.ranges.size() == 1) {
    ranker.rank_whole(cancellation);
  } else {
    ranker.rank_ranges(cancellation);
  }
}

}  // namespace vtsearch
