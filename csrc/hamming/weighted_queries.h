// Queries with a weight for each bit, in the form of the weighted kernels, and tiles as these kernels take them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "codes.h"
#include "hamming/aligned_array.h"
#include "hamming/padding.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"
#include "simd/kernels.h"

namespace vtsearch {

// The bytes of the tables of a query, for codes of a padded width.
inline std::size_t table_bytes(std::size_t padded) {
  return fours_per_byte * entries_per_four * padded;
}

// The tables of all queries.
std::vector<std::uint8_t> weighted_tables(const Queries& queries);

// Arranges tiles of up to `items` codes.
class TileArranger {
 public:
  TileArranger(const Kernels& kernels, std::size_t padded, std::size_t items)
      : arrange_(kernels.weighted.arrange),
        padded_(padded),
        rows_((items + items_per_group - 1) / items_per_group * items_per_group * fours_per_byte * padded) {}

  // The tile with arranged codes, valid until the next call.
  Tile operator()(Tile tile) {
    arrange_(tile.codes, tile.count, padded_, rows_.data());
    tile.codes = rows_.data();
    return tile;
  }

 private:
  ArrangeKernel arrange_;
  std::size_t padded_;
  AlignedArray<std::uint8_t> rows_;
};

// As TileDistances, for queries with weights.
class WeightedDistances {
 public:
  using Distance = std::uint16_t;

  WeightedDistances(const Kernels& kernels, const Queries& queries)
      : padded_(padded_width(queries.width)),
        kernel_(kernels.weighted.distances[width_form(padded_)]),
        count_kernel_(kernels.count_shorts),
        tables_(weighted_tables(queries)),
        queries_(queries.count),
        arranger_(kernels, padded_, items_per_tile(padded_)),
        distances_(items_per_tile(padded_)) {}

  CountKernel<Distance> count() const { return count_kernel_; }

  // Calls visit(query, its distances to the items of the tile) for each query.
  template <class Visit>
  void for_each_query(const Tile& tile, Visit&& visit) {
    const Tile arranged = arranger_(tile);
    for (std::size_t q = 0; q < queries_; ++q) {
      kernel_(tables_.data() + q * table_bytes(padded_), arranged.codes, tile.count, padded_, distances_.data());
      visit(q, distances_.data());
    }
  }

 private:
  std::size_t padded_;
  WeightedDistancesKernel kernel_;
  CountKernel<Distance> count_kernel_;
  std::vector<std::uint8_t> tables_;
  std::size_t queries_;
  TileArranger arranger_;
  AlignedArray<std::uint16_t> distances_;
};

// Calls function(std::type_identity<Distances>{}) with what computes the distances of queries to tiles.
template <class Function>
void with_distances(const Queries& queries, Function&& function) {
  if (queries.weights != nullptr) return function(std::type_identity<WeightedDistances>{});
  with_distance_type(queries.width,
                     [&](auto distance) { function(std::type_identity<TileDistances<decltype(distance)>>{}); });
}

}  // namespace vtsearch
