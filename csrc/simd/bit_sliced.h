// Bit-sliced layout: row b holds bit b of 512 codes, in 64 bytes. Distances of a block of 512 codes are then computed
// with logic instructions only, 512 codes at a time, by a carry-save adder tree (Harley-Seal popcount).
//
// A full adder (two instructions with AVX-512, three to five elsewhere) reduces three rows of one weight to one row of
// that weight and one of the next. The first inputs are bits of the database, inverted where the query has a 1.
// Inverting an input inverts the sum: sums are parities, of which the query decides only the sign, and so is each sum
// of sums. The carry of three of them is one of eight rows. All adders of the lowest weight are therefore precomputed
// once per block, and each query selects their carries: for 64-bit codes 31 rows, for which 26 full adders per 512
// codes remain.
//
// A unit is 16 bits of every code of a block. Its adders of the lowest weight, of eight rows of carries each:
//
//   0 .. 4   bits 3 t .. 3 t + 2
//   5, 6     the sums of adders 0 to 2, and of 3 to 5
//   7        the sum of adder 6 and what the units before leave: the sum of their last adder, and their last bit
//
// After the last unit come what it leaves: two rows each, unchanged and inverted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {

inline constexpr std::size_t block_items = 512;
inline constexpr std::size_t block_words = block_items / 64;  // item i is bit i % 64 of word i / 64
inline constexpr std::size_t row_bytes = block_items / 8;

inline constexpr std::size_t unit_bits = 16;
inline constexpr std::size_t unit_bytes = unit_bits / 8;
inline constexpr std::size_t triples = 5;
inline constexpr std::size_t joint_adder = 7;
inline constexpr std::size_t adders_per_unit = 8;
inline constexpr std::size_t rows_per_adder = 8;
inline constexpr std::size_t rows_per_unit = adders_per_unit * rows_per_adder;

// The rows of a block, and the rows that a query selects of them.
constexpr std::size_t rows_of(std::size_t units) {
  return units * rows_per_unit + 4;
}
constexpr std::size_t picks_of(std::size_t units) {
  return units * adders_per_unit + 2;
}

// The number of bits of a counter that can hold `largest`.
constexpr std::size_t counter_bits(std::size_t largest) {
  std::size_t bits = 0;
  for (; largest != 0; largest /= 2) ++bits;
  return bits;
}
inline constexpr std::size_t max_counter_bits = 17;

// `count` queries as row offsets, with thresholds.
struct BitSlicedQueries {
  std::size_t count;
  std::size_t units;
  const std::uint16_t* picks;  // (count, picks_of(units)) byte offsets of rows: of each adder from the first row of its
                               // unit, and of the last two from the first row after the last unit
  const std::uint16_t* thresholds;  // (count,)
  const std::uint64_t* bias;        // (count, bits) bits of 2^bits - threshold, each as a word of zeros or ones;
                                    // bits = counter_bits(unit_bits * units)
};

// A bitmap of items of one block, such as those below a query's threshold.
struct alignas(row_bytes) BlockItems {
  std::uint64_t word[block_words];
};

// Counters of a histogram: a word has four 16-bit counters for the distances 4 g .. 4 g + 3, and for each g there is
// one such word per word of a block's bitmap. A query has counter_words(units) words. They can overflow after more than
// max_blocks_counted blocks.
inline constexpr std::size_t distances_per_word = 4;
inline constexpr std::size_t max_blocks_counted = 65535 / 64;
constexpr std::size_t counter_words(std::size_t units) {
  return (unit_bits * units / (2 * distances_per_word) + 1) * 2 * block_words;
}

// Transposes up to 512 codes, padded to `width` bytes, to the rows of a block. Bits of items beyond `count` are
// undefined.
using BitSliceKernel = void (*)(const std::uint8_t* codes, std::size_t count, std::size_t width, std::size_t units,
                                std::uint8_t* rows);

// Largest number of blocks of a tile. Hits of a query are extracted once per tile.
inline constexpr std::size_t max_blocks = 8;

// The hits of one query in a tile: bit b of `blocks` is set if block b has hits, and items[b * stride] is their bitmap.
// The bitmaps of all queries for one block are contiguous, because a scan writes them in this order.
struct TileItems {
  const BlockItems* items;
  std::size_t stride;
  std::uint8_t blocks;
};

// Sets found[q] to the bitmap of `allowed` items of block number `block` below the threshold of query q, and sets bit
// `block` of any[q] if it is not empty.
using BitSlicedScanKernel = void (*)(const std::uint8_t* rows, const BitSlicedQueries& queries,
                                     const BlockItems& allowed, std::size_t block, BlockItems* found,
                                     std::uint8_t* any);

// For each query a bitmap of items of one block.
using QueryItems = const std::uint64_t* const*;

// Adds the `allowed` items of a block to the counters of each query, and those also in relevant_items[query] to
// `relevant`. Only items in allowed_items[query] count, or all if allowed_items is null. relevant_items and its
// elements may be null.
using BitSlicedCountKernel = void (*)(const std::uint8_t* rows, const BitSlicedQueries& queries,
                                      const BlockItems& allowed, QueryItems allowed_items, std::uint64_t* counters,
                                      QueryItems relevant_items, std::uint64_t* relevant);

// Returns the number of hits.
using FoundKernel = std::size_t (*)(const TileItems& found);

// Writes the positions of the hits, ascending, with `first` added, and their distances. `codes` of the tile and `query`
// are padded to `width`. Both outputs must have room for a group more than the number of hits.
using ExpandKernel = void (*)(const TileItems& found, std::uint32_t first, const std::uint8_t* codes,
                              const std::uint8_t* query, std::size_t width, std::uint32_t* numbers,
                              std::uint16_t* distances);

// Widths of up to 128 bits and of 256 bits have specialized kernels; the last form is generic.
inline constexpr std::size_t unrolled_units[] = {1, 2, 3, 4, 5, 6, 7, 8, 16};
inline constexpr std::size_t bit_sliced_forms = sizeof unrolled_units / sizeof *unrolled_units + 1;

struct BitSlicedKernels {
  std::size_t min_queries;  // from which on they scan a block faster than the row kernels, its transposition included
  BitSliceKernel bit_slice;
  BitSlicedScanKernel scan[bit_sliced_forms];
  BitSlicedCountKernel count[bit_sliced_forms];
  FoundKernel found;
  ExpandKernel expand;
};

}  // namespace vtsearch
