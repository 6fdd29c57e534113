// Distances of queries to tiles of the database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/aligned_array.h"
#include "hamming/padding.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"
#include "simd/kernels.h"

namespace vtsearch {

// Computes the distances of queries to a tile, a few queries at a time.
template <class Distance_>
class TileDistances {
 public:
  using Distance = Distance_;

  TileDistances(const Kernels& kernels, CodeView queries)
      : padded_(padded_width(queries.width)),
        kernels_(kernels_for<Distance>(kernels, padded_)),
        queries_(padded_codes(queries)),
        count_(queries.count),
        stride_(items_per_tile(padded_)),
        distances_(queries_per_call * stride_) {}

  CountKernel<Distance> count() const { return kernels_.count; }

  // Calls visit(query, its distances to the items of the tile) for each query.
  template <class Visit>
  void for_each_query(const Tile& tile, Visit&& visit) {
    for (std::size_t first = 0; first < count_; first += queries_per_call) {
      const std::size_t queries = count_ - first < queries_per_call ? count_ - first : queries_per_call;
      kernels_.distances(queries_.data() + first * padded_, queries, tile.codes, tile.count, padded_, distances_.data(),
                         stride_);
      for (std::size_t q = 0; q < queries; ++q) visit(first + q, distances_.data() + q * stride_);
    }
  }

 private:
  std::size_t padded_;
  WidthKernels<Distance> kernels_;
  std::vector<std::uint8_t> queries_;
  std::size_t count_;
  std::size_t stride_;
  AlignedArray<Distance> distances_;
};

}  // namespace vtsearch
