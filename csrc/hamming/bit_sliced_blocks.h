// Codes and queries in the layout of the bit-sliced kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/aligned_array.h"
#include "hamming/tile_reader.h"
#include "simd/kernels.h"

namespace vtsearch {

// Whether the bit-sliced kernels are faster than those for rows: a block has to be transposed first, and a part of one
// takes as long as a whole one.
inline bool is_bit_sliced(const Kernels& kernels, std::size_t queries, std::size_t items) {
  constexpr std::size_t many_queries = 128;
  return queries >= (items < block_items ? many_queries : kernels.bit_sliced.min_queries);
}

// The bit-sliced kernels for codes of one width.
struct BitSlicedWidthKernels {
  BitSliceKernel bit_slice;
  BitSlicedScanKernel scan;
  BitSlicedCountKernel count;
  FoundKernel found;
  ExpandKernel expand;

  BitSlicedWidthKernels(const Kernels& kernels, std::size_t width);
};

// Queries as row offsets and thresholds. Initially every distance is below the threshold.
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

// The bit-sliced rows of one block of a tile.
class BitSlicedBlock {
 public:
  explicit BitSlicedBlock(std::size_t width);

  // Transposes up to 512 items of the tile, starting at position `first`.
  void set(const BitSlicedWidthKernels& kernels, const Tile& tile, std::size_t first);

  const std::uint8_t* rows() const { return rows_.data(); }
  const BlockItems& items() const { return items_; }  // the items present and allowed, as bits

 private:
  std::size_t units_;
  std::size_t padded_;
  AlignedArray<std::uint8_t> rows_;
  BlockItems items_;
};

}  // namespace vtsearch
