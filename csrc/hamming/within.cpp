#include "hamming/within.h"

#include <algorithm>

#include "hamming/scanner.h"
#include "hamming/tiles.h"

namespace vtsearch {
namespace {

// What lies within the radius of one query in one range, in order of the index.
struct Found {
  std::vector<std::int64_t> indices;
  std::vector<std::uint16_t> distances;
};

void find(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range, std::size_t radius,
          Checkpoint& checkpoint, Found* found) {
  Scanner scanner(kernels, queries);
  for (std::size_t q = 0; q < queries.count; ++q) scanner.set_threshold(q, std::min(radius + 1, database.bins()));
  TileReader reader(database, mask, range);
  for (Tile tile; reader.next(tile); checkpoint()) {
    scanner.scan(tile, [&](std::size_t q, const Hits& hits) {
      for (std::size_t i = 0; i < hits.count; ++i) {
        found[q].indices.push_back(static_cast<std::int64_t>(range.begin + tile.item(hits.positions[i])));
        found[q].distances.push_back(hits.distances[i]);
      }
    });
  }
}

// Counting sort by distance of what the ranges found for one query; `found` holds one entry a range.
void sort_into(const std::vector<const Found*>& found, std::size_t bins, std::int32_t* distances,
               std::int64_t* indices) {
  std::vector<std::size_t> offsets(bins + 1, 0);
  for (const Found* part : found) {
    for (const std::uint16_t distance : part->distances) ++offsets[distance + 1u];
  }
  for (std::size_t d = 0; d < bins; ++d) offsets[d + 1] += offsets[d];
  for (const Found* part : found) {
    for (std::size_t i = 0; i < part->indices.size(); ++i) {
      const std::size_t place = offsets[part->distances[i]]++;
      distances[place] = part->distances[i];
      indices[place] = part->indices[i];
    }
  }
}

}  // namespace

Neighbors within(const Kernels& kernels, CodeView queries, CodeView database, std::size_t radius, MaskView mask,
                 std::size_t threads, Cancellation& cancellation) {
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  std::vector<Found> found(queries.count * plan.ranges.size());  // range by range
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, Checkpoint& checkpoint) {
    const Range block = plan.query_block(task);
    const CodeView codes{queries.code(block.begin), block.count(), queries.width};
    Found* first = found.data() + plan.range_number(task) * queries.count + block.begin;
    find(kernels, codes, database, mask, plan.range(task), radius, checkpoint, first);
  });
  Neighbors neighbors;
  neighbors.offsets.assign(queries.count + 1, 0);
  for (std::size_t q = 0; q < queries.count; ++q) {
    std::size_t count = 0;
    for (std::size_t r = 0; r < plan.ranges.size(); ++r) count += found[r * queries.count + q].indices.size();
    neighbors.offsets[q + 1] = neighbors.offsets[q] + static_cast<std::int64_t>(count);
  }
  neighbors.distances.resize(static_cast<std::size_t>(neighbors.offsets.back()));
  neighbors.indices.resize(neighbors.distances.size());
  std::vector<const Found*> parts(plan.ranges.size());
  for (std::size_t q = 0; q < queries.count; ++q) {
    for (std::size_t r = 0; r < parts.size(); ++r) parts[r] = &found[r * queries.count + q];
    sort_into(parts, database.bins(), neighbors.distances.data() + neighbors.offsets[q],
              neighbors.indices.data() + neighbors.offsets[q]);
  }
  return neighbors;
}

}  // namespace vtsearch
