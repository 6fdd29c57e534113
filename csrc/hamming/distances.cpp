#include "hamming/distances.h"

#include <algorithm>

#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"

namespace vtsearch {

void distances(const Kernels& kernels, CodeView queries, CodeView database, std::size_t threads,
               Cancellation& cancellation, std::int32_t* out) {
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    const Range range = plan.range(task);
    const CodeView codes = queries.part(block);
    with_distance_type(database.width, [&](auto distance) {
      using Distance = decltype(distance);
      TileDistances<Distance> tile_distances(kernels, codes);
      TileReader reader(database, MaskView{}, range);
      for (Tile tile; reader.next(tile); cancellation_point()) {
        tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* found) {
          std::copy_n(found, tile.count, out + (block.begin + q) * database.count + range.begin + tile.first);
        });
      }
    });
  });
}

}  // namespace vtsearch
