// The kernels of an instruction set, as a table of function pointers: distances, scans and counts over rows of codes,
// scans and counts over bit-sliced blocks of codes (bit_sliced.h), weighted distances, and codes of features.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/bit_sliced.h"

namespace vtsearch {

// Kernels take codes padded to one of these widths in bytes. Distances of codes of up to 16 bytes (128 bits) fit a
// byte; wider codes have 16-bit distances. Codes wider than 32 bytes are padded to a multiple of 8-byte words.
inline constexpr std::size_t narrow_widths[] = {2, 4, 8, 16};
inline constexpr std::size_t wide_width = 32;
inline constexpr std::size_t word_width = 8;

inline constexpr std::size_t queries_per_call = 4;  // kept in registers while codes are streamed
inline constexpr std::size_t items_per_group = 64;  // arrays of distances are padded to a multiple of this

// out[q * stride + i] = distance of query q to code i. Rows of `out` must have room for `count` rounded up to a group;
// values beyond `count` are undefined. `width` is in bytes. Reads nothing beyond the last code.
template <class Distance>
using DistancesKernel = void (*)(const std::uint8_t* queries, std::size_t query_count, const std::uint8_t* codes,
                                 std::size_t count, std::size_t width, Distance* out, std::size_t stride);

// Writes the positions of the codes below the threshold, ascending, and their distances; returns their number. Both
// outputs must have room for a group more than that.
using ScanKernel = std::size_t (*)(const std::uint8_t* query, const std::uint8_t* codes, std::size_t count,
                                   std::size_t width, std::size_t threshold, std::uint32_t* positions,
                                   std::uint16_t* distances);

// Adds the number of occurrences of each distance to histogram[0 .. bins).
template <class Distance>
using CountKernel = void (*)(const Distance* distances, std::size_t count, std::size_t bins, std::uint32_t* histogram);

// Weighted distances are sums of table entries: four bits of a code, a four, select a byte of a table of 16. A query
// has 2 * width tables, for the low half of byte 0, its high half, the low half of byte 1, and so on; entries are at
// most 255, distances at most 65,535. Codes are arranged once for all queries, as each instruction set needs them.
inline constexpr std::size_t fours_per_byte = 2;
inline constexpr std::size_t entries_per_four = 16;

// Arranges codes: `rows` must have room for fours_per_byte * width bytes for each, with `count` rounded up to a group.
using ArrangeKernel = void (*)(const std::uint8_t* codes, std::size_t count, std::size_t width, std::uint8_t* rows);

// out[i] = weighted distance of arranged code i. `out` must have room for `count` rounded up to a group.
using WeightedDistancesKernel = void (*)(const std::uint8_t* tables, const std::uint8_t* rows, std::size_t count,
                                         std::size_t width, std::uint16_t* out);

struct WeightedKernels {
  ArrangeKernel arrange;
  WeightedDistancesKernel distances[6];  // the widths of Kernels::scan
  ScanKernel scan[6];                    // takes tables and arranged codes
};

// A 16-bit floating-point number as numpy has them.
struct Half {
  std::uint16_t bits;
};

// Writes a bit for each of `count` values, 1 if it is above 0; with `big`, the first is the highest of a byte. The bits
// after the last one are 0. Returns false if a value is NaN, or a byte neither 0 nor 1; of the `readable` values from
// the first one on, some after the last may be judged too.
template <class Value>
using PackKernel = bool (*)(const Value* values, std::size_t count, std::size_t readable, bool big, std::uint8_t* out);

struct Kernels {
  const char* name;
  DistancesKernel<std::uint8_t> narrow[4];  // one per narrow_widths
  DistancesKernel<std::uint16_t> wide;      // 32 bytes
  DistancesKernel<std::uint16_t> words;     // any multiple of 8 bytes
  ScanKernel scan[6];                       // the same widths
  CountKernel<std::uint8_t> count_bytes;
  CountKernel<std::uint16_t> count_shorts;
  BitSlicedKernels bit_sliced;
  WeightedKernels weighted;
  struct Pack {
    PackKernel<float> floats;
    PackKernel<double> doubles;
    PackKernel<Half> halves;
    PackKernel<std::uint8_t> bytes;
  } pack;
};

extern const Kernels kernels_scalar;
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_neon;

}  // namespace vtsearch
