#include "hamming/within.h"

#include <algorithm>
#include <mutex>

#include "hamming/scanner.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Calls scan(scanner, tile) for each tile of the range, with a scanner for items at a distance of at most `radius`.
template <class Scan>
void scan_range(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t radius, Masks masks,
                Range range, CancellationPoint& cancellation_point, Scan&& scan) {
  const std::size_t allowed = allowed_items(masks.shared(), range);
  Scanner scanner(kernels, queries, allowed, masks, range.begin);
  for (std::size_t q = 0; q < queries.count; ++q) scanner.set_threshold(q, std::min(radius + 1, queries.bins()));
  TileReader reader = scanner.tiles(database, masks.shared(), range, allowed);
  for (Tile tile; reader.next(tile); cancellation_point()) scan(scanner, tile);
}

// Sorts the hits of all ranges for one query by a counting sort on the distance.
void sort_into(const std::vector<Range>& ranges, const std::vector<const HitList*>& found, std::size_t bins,
               std::int32_t* distances, std::int64_t* indices) {
  std::vector<std::size_t> offsets(bins + 1, 0);
  for (const HitList* hits : found) {
    for (std::size_t i = 0; i < hits->size(); ++i) ++offsets[hits->distances()[i] + 1u];
  }
  for (std::size_t d = 0; d < bins; ++d) offsets[d + 1] += offsets[d];
  for (std::size_t r = 0; r < ranges.size(); ++r) {
    for (std::size_t i = 0; i < found[r]->size(); ++i) {
      const std::uint16_t distance = found[r]->distances()[i];
      const std::size_t place = offsets[distance]++;
      distances[place] = distance;
      indices[place] = static_cast<std::int64_t>(ranges[r].begin + found[r]->items()[i]);
    }
  }
}

}  // namespace

Neighbors within(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t radius, Masks masks,
                 std::size_t threads, Cancellation& cancellation) {
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  std::vector<HitLists> found(plan.tasks());  // (blocks, ranges)
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    found[task].resize(block.count());
    scan_range(
        kernels, queries.part(block), database, radius, masks.from(block.begin), plan.range(task), cancellation_point,
        [&](Scanner& scanner, const Tile& tile) { scanner.scan(tile, found[task], [](std::size_t, std::size_t) {}); });
  });
  // The hit lists of one query, one per range.
  std::vector<const HitList*> lists(plan.ranges.size());
  const auto for_each_query = [&](auto&& visit) {
    for (std::size_t b = 0; b < plan.queries.size(); ++b) {
      for (std::size_t q = plan.queries[b].begin; q < plan.queries[b].end; ++q) {
        for (std::size_t r = 0; r < lists.size(); ++r) {
          lists[r] = &found[b * lists.size() + r][q - plan.queries[b].begin];
        }
        visit(q);
      }
    }
  };
  Neighbors neighbors;
  neighbors.offsets.assign(queries.count + 1, 0);
  for_each_query([&](std::size_t q) {
    std::size_t count = 0;
    for (const HitList* hits : lists) count += hits->size();
    neighbors.offsets[q + 1] = neighbors.offsets[q] + static_cast<std::int64_t>(count);
  });
  neighbors.distances.resize(static_cast<std::size_t>(neighbors.offsets.back()));
  neighbors.indices.resize(neighbors.distances.size());
  for_each_query([&](std::size_t q) {
    sort_into(plan.ranges, lists, queries.bins(), neighbors.distances.data() + neighbors.offsets[q],
              neighbors.indices.data() + neighbors.offsets[q]);
  });
  return neighbors;
}

void count_within(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t radius, Masks masks,
                  std::size_t threads, Cancellation& cancellation, std::int64_t* counts) {
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  std::mutex mutex;
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    std::vector<std::int64_t> here(block.count());
    scan_range(kernels, queries.part(block), database, radius, masks.from(block.begin), plan.range(task),
               cancellation_point, [&](Scanner& scanner, const Tile& tile) {
                 scanner.count(tile,
                               [&](std::size_t q, std::size_t count) { here[q] += static_cast<std::int64_t>(count); });
               });
    const std::lock_guard lock(mutex);
    for (std::size_t q = 0; q < here.size(); ++q) counts[block.begin + q] += here[q];
  });
}

}  // namespace vtsearch
