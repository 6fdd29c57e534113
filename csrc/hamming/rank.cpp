#include "hamming/rank.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "hamming/rank_by_selection.h"
#include "hamming/rank_by_sorting.h"
#include "hamming/rank_work.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Limit on the bytes of hits per block of queries: every tile appends to all lists, so they should stay in the cache.
constexpr std::size_t selection_bytes = 2 << 20;

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
  void rank(const RankWork& work, std::size_t first, SharedCeilings& ceilings) {
    const Results rows = Results{distances.data(), indices.data(), columns}.from_row(first);
    if (sorts(work.k, work.items)) {
      rank_by_sorting(work, rows);
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
  Ranker(const Kernels& kernels, const Queries& queries, CodeView database, Masks masks, const Plan& plan,
         Results results)
      : kernels_(kernels),
        queries_(queries),
        database_(database),
        masks_(masks),
        plan_(plan),
        results_(results),
        hits_(plan.threads) {}

  // One range: every block of queries fills its rows.
  void rank_whole(Cancellation& cancellation) {
    parallel_for(plan_.tasks(), plan_.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   const Range block = plan_.query_block(task);
                   rank_block(work_of(block, plan_.range(task), results_.columns, cancellation_point),
                              results_.from_row(block.begin));
                 });
  }

  // One range, under a mask for each query.
  void rank_by_query(Cancellation& cancellation) {
    parallel_for(plan_.tasks(), plan_.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   const Range block = plan_.query_block(task);
                   if (sorts(results_.columns, database_.count)) {
                     for (std::size_t q = block.begin; q < block.end; ++q) rank_alone(q, cancellation_point);
                   } else {
                     rank_by_selection(work_of(block, plan_.range(task), results_.columns, cancellation_point),
                                       results_.from_row(block.begin));
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
      parts.emplace_back(queries_.count, std::min(columns, allowed_items(masks_.shared(), range)));
    }
    parallel_for(plan_.tasks(), plan_.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   PartialResults& part = parts[plan_.range_number(task)];
                   if (part.columns == 0) return;
                   const Range block = plan_.query_block(task);
                   const RankWork work = work_of(block, plan_.range(task), part.columns, cancellation_point);
                   part.rank(work, block.begin, ceilings);
                 });
    parallel_for(blocks, plan_.threads, cancellation, [&](std::size_t b, CancellationPoint& cancellation_point) {
      const Range block = plan_.queries[b];
      for (std::size_t q = block.begin; q < block.end; ++q, cancellation_point()) {
        const Results row = results_.from_row(q);
        if (merge(parts, q, queries_.bins(), guesses[b][q - block.begin], row)) continue;
        select_below(work_of({q, q + 1}, all, columns, cancellation_point), {queries_.bins()}, row);
      }
    });
  }

 private:
  void rank_alone(std::size_t q, CancellationPoint& cancellation_point) {
    const Range all{0, database_.count};
    RankWork work = work_of({q, q + 1}, all, 0, cancellation_point);
    work.masks = {masks_.of(q)};
    work.items = allowed_items(work.masks.first, all);
    work.k = std::min(results_.columns, work.items);
    if (work.k != 0) rank_block(work, results_.from_row(q));
  }

  static void rank_block(const RankWork& work, Results rows) {
    if (sorts(work.k, work.items)) {
      rank_by_sorting(work, rows);
    } else {
      rank_by_selection(work, rows);
    }
  }

  RankWork work_of(Range block, Range range, std::size_t k, CancellationPoint& cancellation_point) {
    return {kernels_,
            queries_.part(block),
            database_,
            masks_.from(block.begin),
            range,
            allowed_items(masks_.shared(), range),
            k,
            hits_[cancellation_point.thread()],
            cancellation_point};
  }

  const Kernels& kernels_;
  Queries queries_;
  CodeView database_;
  Masks masks_;
  const Plan& plan_;
  Results results_;
  std::vector<HitLists> hits_;  // by thread
};

// Ranks one query after the other, each under its own mask, for databases that one range does not hold.
void rank_one_by_one(const Kernels& kernels, const Queries& queries, CodeView database, Masks masks,
                     std::size_t threads, Cancellation& cancellation, Results results) {
  for (std::size_t q = 0; q < queries.count; ++q) {
    const Masks mine{masks.of(q)};
    const Results row = results.from_row(q);
    rank(kernels, queries.part({q, q + 1}), database, rank_columns(database, results.columns, mine), mine, threads,
         cancellation, row.distances, row.indices);
  }
}

}  // namespace

std::size_t rank_columns(CodeView database, std::size_t k, Masks masks) {
  return count_allowed_up_to(k, masks.shared(), {0, database.count});
}

void rank(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t columns, Masks masks,
          std::size_t threads, Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices) {
  if (columns == 0 || queries.count == 0) return;
  const Results results{distances, indices, columns};
  const std::size_t bytes_per_query = hits_reserved(columns) * (sizeof(std::uint32_t) + sizeof(std::uint16_t));
  const std::size_t max_queries = std::min(queries_per_block, selection_bytes / bytes_per_query);
  if (masks.by_query()) {
    std::fill_n(distances, queries.count * columns, static_cast<std::int32_t>(queries.beyond()));
    std::fill_n(indices, queries.count * columns, 0);
    const Plan plan = plan_queries(queries.count, database.count, threads, max_queries);
    if (plan.ranges.size() > 1)
      return rank_one_by_one(kernels, queries, database, masks, threads, cancellation, results);
    Ranker(kernels, queries, database, masks, plan, results).rank_by_query(cancellation);
    return;
  }
  const Plan plan = plan_work(queries.count, database.count, threads, max_queries, true);
  Ranker ranker(kernels, queries, database, masks, plan, results);
  if (plan.ranges.size() == 1) {
    ranker.rank_whole(cancellation);
  } else {
    ranker.rank_ranges(cancellation);
  }
}

}  // namespace vtsearch
