#include "hamming/histogram.h"

#include <mutex>
#include <vector>

#include "hamming/tiles.h"

namespace vtsearch {

void histogram(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, std::size_t threads,
               Cancellation& cancellation, std::int64_t* out) {
  const std::size_t bins = database.bins();
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  std::mutex mutex;
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, Checkpoint& checkpoint) {
    const Range block = plan.query_block(task);
    const CodeView codes{queries.code(block.begin), block.count(), queries.width};
    std::vector<std::uint32_t> counts(block.count() * bins);  // a range has fewer than 2^32 items
    with_distance_type(database.width, [&](auto distance) {
      using Distance = decltype(distance);
      TileDistances<Distance> tile_distances(kernels, codes);
      TileReader reader(database, mask, plan.range(task));
      for (Tile tile; reader.next(tile); checkpoint()) {
        tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
          tile_distances.kernels().count(distances, tile.count, bins, counts.data() + q * bins);
        });
      }
    });
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts.size(); ++i) out[block.begin * bins + i] += counts[i];
  });
}

}  // namespace vtsearch
