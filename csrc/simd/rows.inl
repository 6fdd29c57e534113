// Row kernels: codes in their memory layout, one after the other. Generic over `struct Vector`.
//
// Vector                      a register
//   load(p), store(p, v)      unaligned
//   a ^ b, a | b
//   popcount<W>(v)            bits set in each lane of W = 2, 4 or 8 bytes
//   shift_left<W, n>(v)       each lane of W bytes
//   pair_sum(a, b)            sums of neighboring 8-byte lanes: those of a, then those of b
//   untangle<W, U>(v)         transposes: unit j (U bytes) of lane i (W bytes) moves to unit j * lanes + i
//   below(p, threshold)       bit i: p[i] < threshold, for sizeof(Vector) / sizeof(*p) items
//   expand(mask, first, p)    writes first + (position of each set bit); returns their number
//
// Distances of narrow codes are packed before they are stored: the counts of vector j are shifted to byte j of their
// lane, so that W vectors of codes give one vector of byte distances, which one transposition puts in order. A group is
// the codes of one vector of distances, so it has sizeof(Vector) codes for every narrow width.
#pragma once

#include <cstring>

#include "compiler.h"
#include "simd/kernels.h"

namespace vtsearch {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr std::size_t vector_bytes = sizeof(Vector);

// A code of W bytes repeated to fill a register, or split over several if it is wider.
template <std::size_t W>
struct Query {
  static constexpr std::size_t parts = W > vector_bytes ? W / vector_bytes : 1;
  Vector part[parts];

  static Query broadcast(const u8* code) {
    u8 repeated[parts * vector_bytes];
    for (std::size_t i = 0; i < sizeof repeated; i += W) std::memcpy(repeated + i, code, W);
    Query query;
    for (std::size_t i = 0; i < parts; ++i) query.part[i] = Vector::load(repeated + i * vector_bytes);
    return query;
  }
};

// Distances in 8-byte lanes, of the W / 8 vectors of codes that start at `codes`.
template <std::size_t W, std::size_t First = 0, std::size_t Count = W / 8>
VTSEARCH_ALWAYS_INLINE Vector lane_sums(const u8* codes, const Query<W>& query) {
  if constexpr (Count == 1) {
    return Vector::popcount<8>(Vector::load(codes + First * vector_bytes) ^ query.part[First % Query<W>::parts]);
  } else {
    return Vector::pair_sum(lane_sums<W, First, Count / 2>(codes, query),
                            lane_sums<W, First + Count / 2, Count / 2>(codes, query));
  }
}

// Distances of one vector of codes, in lanes as wide as the code but at most 8 bytes.
template <std::size_t W>
VTSEARCH_ALWAYS_INLINE Vector lane_distances(const u8* codes, const Query<W>& query) {
  if constexpr (W <= 8) {
    return Vector::popcount<W>(Vector::load(codes) ^ query.part[0]);
  } else {
    return lane_sums<W>(codes, query);
  }
}

template <std::size_t W, std::size_t Unit, std::size_t J>
VTSEARCH_ALWAYS_INLINE Vector stacked(const u8* codes, const Query<W>& query) {
  constexpr std::size_t lane = W < 8 ? W : 8;
  constexpr std::size_t step = vector_bytes * (W > 8 ? W / 8 : 1);
  const Vector distances = lane_distances<W>(codes + J * step, query);
  if constexpr (J == 0) {
    return distances;
  } else {
    return stacked<W, Unit, J - 1>(codes, query) | Vector::shift_left<lane, int(8 * Unit * J)>(distances);
  }
}

// The distances of one group: vector_bytes / sizeof(Distance) codes.
template <std::size_t W, class Distance>
VTSEARCH_ALWAYS_INLINE void group(const u8* codes, const Query<W>& query, Distance* out) {
  constexpr std::size_t lane = W < 8 ? W : 8;
  constexpr std::size_t unit = sizeof(Distance);
  Vector::store(reinterpret_cast<u8*>(out),
                Vector::untangle<lane, unit>(stacked<W, unit, lane / unit - 1>(codes, query)));
}

template <std::size_t W, class Distance, std::size_t Q>
void distances_to(const u8* queries, const u8* codes, std::size_t count, Distance* out, std::size_t stride) {
  constexpr std::size_t items = vector_bytes / sizeof(Distance);
  Query<W> query[Q];
  for (std::size_t q = 0; q < Q; ++q) query[q] = Query<W>::broadcast(queries + q * W);
  std::size_t i = 0;
  for (; i + items <= count; i += items) {
    for (std::size_t q = 0; q < Q; ++q) group<W>(codes + i * W, query[q], out + q * stride + i);
  }
  if (i == count) return;
  u8 rest[items * W] = {};
  std::memcpy(rest, codes + i * W, (count - i) * W);
  for (std::size_t q = 0; q < Q; ++q) group<W>(rest, query[q], out + q * stride + i);
}

template <std::size_t W, class Distance>
void distances(const u8* queries, std::size_t query_count, const u8* codes, std::size_t count, std::size_t,
               Distance* out, std::size_t stride) {
  switch (query_count) {
    case 1:
      return distances_to<W, Distance, 1>(queries, codes, count, out, stride);
    case 2:
      return distances_to<W, Distance, 2>(queries, codes, count, out, stride);
    case 3:
      return distances_to<W, Distance, 3>(queries, codes, count, out, stride);
    default:
      return distances_to<W, Distance, 4>(queries, codes, count, out, stride);
  }
}

void word_distances(const u8* queries, std::size_t query_count, const u8* codes, std::size_t count, std::size_t width,
                    u16* out, std::size_t stride) {
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t q = 0; q < query_count; ++q) {
      u64 sum = 0;
      for (std::size_t b = 0; b < width; b += word_width) {
        u64 x, y;
        std::memcpy(&x, codes + i * width + b, word_width);
        std::memcpy(&y, queries + q * width + b, word_width);
        sum += Vector::popcount_word(x ^ y);
      }
      out[q * stride + i] = static_cast<u16>(sum);
    }
  }
}

// Each group is compared with the threshold right after its distances are computed, so that distances stay in registers
// and memory is read without interruption.
template <std::size_t W, class Distance>
std::size_t scan_rows(const u8* query_code, const u8* codes, std::size_t count, std::size_t, std::size_t threshold,
                      u32* positions, u16* found_distances) {
  constexpr std::size_t items = vector_bytes / sizeof(Distance);
  const Query<W> query = Query<W>::broadcast(query_code);
  alignas(vector_bytes) Distance distances[items];
  std::size_t found = 0;
  const auto scan_group = [&](const u8* group_codes, std::size_t first, u64 allowed) {
    group<W>(group_codes, query, distances);
    const u64 below = Vector::below(distances, static_cast<Distance>(threshold)) & allowed;
    if (below == 0) return;
    const std::size_t here = Vector::expand(below, static_cast<u32>(first), positions + found);
    for (std::size_t j = found; j < found + here; ++j) found_distances[j] = distances[positions[j] - first];
    found += here;
  };
  std::size_t i = 0;
  for (; i + items <= count; i += items) scan_group(codes + i * W, i, ~u64{0});
  if (i < count) {
    u8 rest[items * W] = {};
    std::memcpy(rest, codes + i * W, (count - i) * W);
    scan_group(rest, i, (u64{1} << (count - i)) - 1);
  }
  return found;
}

std::size_t scan_words(const u8* query, const u8* codes, std::size_t count, std::size_t width, std::size_t threshold,
                       u32* positions, u16* found_distances) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    u16 distance;
    word_distances(query, 1, codes + i * width, 1, width, &distance, 1);
    positions[found] = static_cast<u32>(i);
    found_distances[found] = distance;
    found += distance < threshold;
  }
  return found;
}

// Four tables, since successive increments of one counter would form a dependency chain.
template <class Distance, std::size_t MaxBins>
void count_into(const Distance* distances, std::size_t count, std::size_t bins, u32* histogram) {
  u32 table[4][MaxBins];
  for (auto& row : table) std::memset(row, 0, bins * sizeof(u32));
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    ++table[0][distances[i]];
    ++table[1][distances[i + 1]];
    ++table[2][distances[i + 2]];
    ++table[3][distances[i + 3]];
  }
  for (; i < count; ++i) ++table[0][distances[i]];
  for (std::size_t d = 0; d < bins; ++d) histogram[d] += table[0][d] + table[1][d] + table[2][d] + table[3][d];
}

void count_bytes(const u8* distances, std::size_t count, std::size_t bins, u32* histogram) {
  count_into<u8, 256>(distances, count, bins, histogram);
}

void count_shorts(const u16* distances, std::size_t count, std::size_t bins, u32* histogram) {
  if (bins <= 512) return count_into<u16, 512>(distances, count, bins, histogram);
  for (std::size_t i = 0; i < count; ++i) ++histogram[distances[i]];
}

}  // namespace
}  // namespace vtsearch
