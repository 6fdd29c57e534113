// Row kernels: codes in their memory layout, one after the other. Generic over `struct Vector`.
//
// Vector                      a register
//   load(p), store(p, v)      unaligned
//   a ^ b, a | b
//   counts<W>(v)              bits set in each lane of W = 2 .. 32 bytes, or in parts of it that `fold` adds
//   fold<W, U, w>(a, b)       counts of lanes of w bytes in half of each: those of a, then those of b
//   ordered<W, U>(v)          counts folded from W to U = 1 or 2 bytes, in the order of the codes
//   below(p, threshold)       bit i: p[i] < threshold, for sizeof(Vector) / sizeof(*p) items
//   expand(mask, first, p)    writes first + (position of each set bit); returns their number
//
// A group is the codes of one vector of distances, so it has sizeof(Vector) codes for every narrow width. Its vectors
// of codes are folded two by two: lanes of w bytes become half as wide, so that those of two vectors fit one.
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

// The counts of vectors First .. First + Count - 1 of a group, folded into one vector.
template <std::size_t W, std::size_t Unit, std::size_t First, std::size_t Count>
VTSEARCH_ALWAYS_INLINE Vector folded(const u8* codes, const Query<W>& query) {
  if constexpr (Count == 1) {
    return Vector::counts<W>(Vector::load(codes + First * vector_bytes) ^ query.part[First % Query<W>::parts]);
  } else {
    return Vector::fold<W, Unit, 2 * W / Count>(folded<W, Unit, First, Count / 2>(codes, query),
                                                folded<W, Unit, First + Count / 2, Count / 2>(codes, query));
  }
}

// The distances of one group: vector_bytes / sizeof(Distance) codes.
template <std::size_t W, class Distance>
VTSEARCH_ALWAYS_INLINE void group(const u8* codes, const Query<W>& query, Distance* out) {
  constexpr std::size_t unit = sizeof(Distance);
  Vector::store(reinterpret_cast<u8*>(out), Vector::ordered<W, unit>(folded<W, unit, 0, W / unit>(codes, query)));
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

// Bytes that a scan is ahead of itself in memory: the prefetchers of the hardware stop at the end of a page. Short
// scans do not reach what they would fetch; a long one goes on with the next tile.
constexpr std::size_t fetched_ahead = 4096;
constexpr std::size_t long_scan = 8192;

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
  const std::size_t ahead = count * W >= long_scan ? fetched_ahead : 0;
  std::size_t i = 0;
  for (; i + items <= count; i += items) {
    for (std::size_t at = 0; at < items * W; at += 64) prefetch(codes + i * W + ahead + at);
    scan_group(codes + i * W, i, ~u64{0});
  }
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
