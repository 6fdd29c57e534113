#include "hamming/distances.h"

#include <algorithm>

#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/weighted_queries.h"

namespace vtsearch {

template <class Number>
void distances(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t threads,
               Cancellation& cancellation, Number* out, std::size_t stride) {
  const Plan plan = plan_work(queries.count, database.count, threads, queries_per_block);
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    const Range range = plan.range(task);
    const Queries codes = queries.part(block);
    with_distances(codes, [&](auto form) {
      typename decltype(form)::type tile_distances(kernels, codes);
      TileReader reader(database, MaskView{}, range);
      for (Tile tile; reader.next(tile); cancellation_point()) {
        tile_distances.for_each_query(tile, [&](std::size_t q, const auto* found) {
          std::transform(found, found + tile.count, out + (block.begin + q) * stride + range.begin + tile.first,
                         [](auto distance) { return static_cast<Number>(distance); });
        });
      }
    });
  });
}

template void distances(const Kernels&, const Queries&, CodeView, std::size_t, Cancellation&, std::uint8_t*,
                        std::size_t);
template void distances(const Kernels&, const Queries&, CodeView, std::size_t, Cancellation&, std::uint16_t*,
                        std::size_t);
template void distances(const Kernels&, const Queries&, CodeView, std::size_t, Cancellation&, std::int32_t*,
                        std::size_t);

}  // namespace vtsearch
