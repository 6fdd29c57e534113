// Codes as bit planes: a block of 512 codes lies crosswise, one bit of all codes in one row of 64 bytes, so that a
// distance is counted by logic alone, 512 codes at once, whatever the instruction set.
//
// A full adder (two instructions with AVX-512, three to five elsewhere) takes three rows of one weight to one row of
// that weight and one of the next. The first adders of such a tree see only bits of the database, inverted where the
// query has a 1. There are few ways to invert three bits: all their sums are made once for a block, and each query
// picks those that are its own. What is left for 64 bits are 41 full adders for 512 codes.
//
// A unit is 16 bits of every code of a block. Its rows:
//
//   triple t = 0 .. 4, bits 3 t .. 3 t + 2:  2 sums, by the parity of the query's three bits
//                                            8 carries, by the query's three bits
//   the last bit:                            2, by the query's bit
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
inline constexpr std::size_t carries_row = 2;  // of a triple, behind its sums
inline constexpr std::size_t rows_per_triple = carries_row + 8;
inline constexpr std::size_t last_row = triples * rows_per_triple;
inline constexpr std::size_t rows_per_unit = last_row + 2;
inline constexpr std::size_t picks_per_unit = 2 * triples + 1;  // sums, carries, the last bit

// Bits that a sum of so many bits needs, up to the widest code.
constexpr std::size_t counter_bits(std::size_t largest) {
  std::size_t bits = 0;
  for (; largest != 0; largest /= 2) ++bits;
  return bits;
}
inline constexpr std::size_t max_counter_bits = 17;

// Queries as the kernels want them, `count` of them.
struct BitSlicedQueries {
  std::size_t count;
  std::size_t units;
  const std::uint16_t* picks;       // (count, units, picks_per_unit) byte offsets of rows, from the unit's first row
  const std::uint16_t* thresholds;  // (count,)
  const std::uint64_t* bias;        // (count, bits) bits of 2^bits - threshold, each a word of zeros or of ones;
                                    // bits = counter_bits(unit_bits * units)
};

// The items of one block that lie below a query's threshold, as bits.
struct alignas(row_bytes) BlockItems {
  std::uint64_t word[block_words];
};

// Counts by distance, four to a word: 16 bits each for the distances 4 g .. 4 g + 3, and for each g one word for each
// word of items in a block. A query has counter_words of them; they hold this many blocks.
inline constexpr std::size_t distances_per_word = 4;
inline constexpr std::size_t max_blocks_counted = 65535 / 64;
constexpr std::size_t counter_words(std::size_t units) {
  return (unit_bits * units / (2 * distances_per_word) + 1) * 2 * block_words;
}

// Makes the rows of a block out of up to 512 codes that are padded to `width` bytes. What lies beyond `count` is
// undefined.
using BitSliceKernel = void (*)(const std::uint8_t* codes, std::size_t count, std::size_t width, std::size_t units,
                                std::uint8_t* rows);

// Up to so many blocks make a tile, after which the hits of each query are looked at together.
inline constexpr std::size_t max_blocks = 8;

// What one query found in a tile: bit b of `blocks` says whether there is something in block b, whose items are
// items[b * stride]. Those of one block stand together for all queries, so that they are written one after the other.
struct TileItems {
  const BlockItems* items;
  std::size_t stride;
  std::uint8_t blocks;
};

// Writes which of the `allowed` items of block number `block` lie below each query's threshold to found[q], and sets
// bit `block` of any[q] if there are some.
using BitSlicedScanKernel = void (*)(const std::uint8_t* rows, const BitSlicedQueries& queries,
                                     const BlockItems& allowed, std::size_t block, BlockItems* found,
                                     std::uint8_t* any);

// Adds the `allowed` items of a block to each query's counters, and to `relevant`, unless it is null, those of them
// that are in relevant_items[query], unless that is null.
using BitSlicedCountKernel = void (*)(const std::uint8_t* rows, const BitSlicedQueries& queries,
                                      const BlockItems& allowed, std::uint64_t* counters,
                                      const std::uint64_t* const* relevant_items, std::uint64_t* relevant);

// How many items a query has found.
using FoundKernel = std::size_t (*)(const TileItems& found);

// Their numbers, ascending, counted from `first` for the tile's first item, and their distances. The tile's `codes` and
// the query are padded to `width`. Both outputs have room for a group more than there are.
using ExpandKernel = void (*)(const TileItems& found, std::uint32_t first, const std::uint8_t* codes,
                              const std::uint8_t* query, std::size_t width, std::uint32_t* numbers,
                              std::uint16_t* distances);

// Up to 128 bits each number of units has its own kernels, 256 bits too; others go through the general ones.
inline constexpr std::size_t unrolled_units[] = {1, 2, 3, 4, 5, 6, 7, 8, 16};
inline constexpr std::size_t bit_sliced_forms = sizeof unrolled_units / sizeof *unrolled_units + 1;

struct BitSlicedKernels {
  bool counts;  // whether counting in blocks beats counting in rows: it takes a fast instruction for the bits of a word
  BitSliceKernel bit_slice;
  BitSlicedScanKernel scan[bit_sliced_forms];
  BitSlicedCountKernel count[bit_sliced_forms];
  FoundKernel found;
  ExpandKernel expand;
};

}  // namespace vtsearch
