// Pairs of a query and an item within a radius, for those who need not keep them.
#pragma once

#include <cstddef>

#include "codes.h"
#include "hamming/hit_list.h"
#include "hamming/parallel.h"
#include "hamming/scanner.h"
#include "hamming/tile_reader.h"
#include "simd/kernels.h"

namespace vtsearch {

// Calls visit(query, item) for each item of the range that the mask allows and that is within the radius of the query.
template <class Visit>
void for_each_near_pair(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range,
                        std::size_t radius, CancellationPoint& cancellation_point, Visit&& visit) {
  const std::size_t allowed = allowed_items(mask, range);
  Scanner scanner(kernels, queries, allowed, {mask}, range.begin);
  for (std::size_t q = 0; q < queries.count; ++q) scanner.set_threshold(q, radius + 1);
  HitLists hits(queries.count);
  TileReader reader = scanner.tiles(database, mask, range, allowed);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) visit(q, range.begin + hits[q].items()[i]);
      hits[q].clear();
    });
  }
}

}  // namespace vtsearch
