// Codes and queries in the form that the sliced kernels take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/aligned_array.h"
#include "hamming/tile_reader.h"
#include "simd/kernels.h"

namespace vtsearch {

// From this number of queries on it pays to lay a block crosswise, which takes as long as about a dozen scans of it.
inline constexpr std::size_t min_bit_sliced_queries = 16;

// The kernels for codes of one width.
struct BitSlicedWidthKernels {
  BitSliceKernel bit_slice;
  BitSlicedScanKernel scan;
  BitSlicedCountKernel count;
  FoundKernel found;
  ExpandKernel expand;

  BitSlicedWidthKernels(const Kernels& kernels, std::size_t width);
};

// Queries in their sliced form, each with a threshold; before it is set, everything lies below it.
class BitSlicedQuerySet {
 public:
  explicit BitSlicedQuerySet(CodeView queries);

  void set_threshold(std::size_t q, std::size_t threshold);
  BitSlicedQueries view() const { return {count_, units_, picks_.data(), thresholds_.data(), bias_.data()}; }

 private:
  std::size_t count_;
  std::size_t units_;
  std::size_t bits_;
  std::vector<std::uint16_t> picks_;
  std::vector<std::uint16_t> thresholds_;
  std::vector<std::uint64_t> bias_;
};

// The rows of one block of a tile.
class BitSlicedBlock {
 public:
  explicit BitSlicedBlock(std::size_t width);

  // Takes up to 512 items of the tile, from position `first` on.
  void set(const BitSlicedWidthKernels& kernels, const Tile& tile, std::size_t first);

  const std::uint8_t* rows() const { return rows_.data(); }
  const BlockItems& items() const { return items_; }  // a bit for each that there is

 private:
  std::size_t units_;
  std::size_t padded_;
  AlignedArray<std::uint8_t> rows_;
  BlockItems items_;
};

}  // namespace vtsearch
