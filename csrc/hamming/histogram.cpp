#include "hamming/histogram.h"

#include <mutex>

#include "hamming/counter.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"

namespace vtsearch {

void histogram(const Kernels& kernels, const Queries& queries, CodeView database, Masks masks, std::size_t threads,
               Cancellation& cancellation, std::int64_t* out) {
  const std::size_t bins = queries.bins();
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_counter(queries));
  std::mutex mutex;
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    const Range range = plan.range(task);
    Counter counter(kernels, queries.part(block), allowed_items(masks.shared(), range));
    TileReader reader(database, masks.shared(), range);
    TileMasks tile_masks(masks.from(block.begin), queries.part(block), range.begin);
    for (Tile tile; reader.next(tile); cancellation_point()) counter.add(tile, tile_masks.of(tile));
    const DistanceCounts counts = counter.finish();
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts.items.size(); ++i) out[block.begin * bins + i] += counts.items[i];
  });
}

}  // namespace vtsearch
