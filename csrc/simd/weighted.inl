// Weighted distances: sums of table entries that four bits of a code select. Generic over `struct Vector`:
//
//   fours_per_row                 fours of a code that lie side by side in a row, 1 or 4; 0 without byte look-ups
//   Tables, load_tables(p)        the tables of a row: fours_per_row of 16 bytes each
//   Sums                          of sizeof(Vector) / fours_per_row codes
//     add(tables, row)            adds the entries that a row selects; its bytes are 16 * (place in the row) + four
//     limit(threshold)            in all lanes
//     below(limit)                bit i: sum i is below the limit
//     store(p)                    the sums as 16-bit integers
//   with 1 four per row:
//     load_words(p, stride, lane) 8 bytes from p and from p + stride, then from p + lane and p + lane + stride, ...
//     zip_low(a, b), zip_high     bytes of the low or high halves of each 16 bytes of a and b, in turns
//     low_fours(v), high_fours(v) the halves of each byte
//   otherwise:
//     arrange<Bytes>(codes, stride, rows)
//                                 the rows of a group, for Bytes bytes of each code, at most 8
//
// A group of sizeof(Vector) codes has 2 * width / fours_per_row rows for each of its fours_per_row Sums, in turns.
#pragma once

#include <cstring>

#include "simd/kernels.h"
#include "simd/rows.inl"
#include "simd/transpose.h"

namespace vtsearch {
namespace {

// Look-ups in registers, many codes at a time. `V` is Vector.
template <class V>
struct WeightedLookups {
  static constexpr std::size_t fours = V::fours_per_row;
  static constexpr std::size_t group_items = sizeof(V);
  static constexpr std::size_t items_per_sums = group_items / fours;
  using Tables = typename V::Tables;
  using Sums = typename V::Sums;

  // The tables of codes of Width bytes in registers, or in memory if Width is 0.
  template <std::size_t Width>
  class Query {
   public:
    Query(const u8* tables, std::size_t width) : tables_(tables), rows_(fours_per_byte * width / fours) {
      for (std::size_t r = 0; r < kept; ++r) kept_[r] = loaded(r);
    }

    std::size_t group_bytes() const { return fours * rows() * sizeof(V); }

    VTSEARCH_ALWAYS_INLINE void add_group(const u8* group, Sums (&sums)[fours]) const {
      for (std::size_t r = 0; r < rows(); ++r) {
        const Tables tables = Width == 0 ? loaded(r) : kept_[r];
        for (std::size_t s = 0; s < fours; ++s, group += sizeof(V)) sums[s].add(tables, V::load(group));
      }
    }

   private:
    static constexpr std::size_t kept = fours_per_byte * Width / fours;
    std::size_t rows() const { return Width == 0 ? rows_ : kept; }
    Tables loaded(std::size_t r) const { return V::load_tables(tables_ + r * fours * entries_per_four); }

    const u8* tables_;
    std::size_t rows_;
    Tables kept_[kept == 0 ? 1 : kept];
  };

  template <std::size_t Bytes>
  static void arrange_bytes(const u8* codes, std::size_t stride, u8* rows) {
    if constexpr (Bytes < word_width) {
      u8 slots[group_items * word_width] = {};
      for (std::size_t i = 0; i < group_items; ++i) std::memcpy(slots + i * word_width, codes + i * stride, Bytes);
      return arrange_words<Bytes>(slots, word_width, rows);
    } else {
      arrange_words<Bytes>(codes, stride, rows);
    }
  }

  // Transposes 8 bytes of each code by four interleavings, each 16 bytes of a register apart from the others.
  template <std::size_t Bytes>
  static void arrange_words(const u8* codes, std::size_t stride, u8* rows) {
    V v[8];
    for (std::size_t k = 0; k < 8; ++k) v[k] = V::load_words(codes + 2 * k * stride, stride, 16 * stride);
    for (std::size_t level = 0; level < 4; ++level) interleave(v);
    for (std::size_t b = 0; b < Bytes; ++b, rows += 2 * sizeof(V)) {
      V::store(rows, V::low_fours(v[b]));
      V::store(rows + sizeof(V), V::high_fours(v[b]));
    }
  }

  template <std::size_t Bytes>
  static void arrange_group(const u8* codes, std::size_t stride, u8* rows) {
    if constexpr (fours == 1) {
      arrange_bytes<Bytes>(codes, stride, rows);
    } else {
      V::template arrange<Bytes>(codes, stride, rows);
    }
  }

  template <std::size_t Bytes>
  static void arrange_part(const u8* codes, std::size_t count, std::size_t width, u8* rows) {
    if (count >= group_items) return arrange_group<Bytes>(codes, width, rows);
    u8 rest[group_items * Bytes] = {};
    for (std::size_t i = 0; i < count; ++i) std::memcpy(rest + i * Bytes, codes + i * width, Bytes);
    arrange_group<Bytes>(rest, Bytes, rows);
  }

  static void arrange(const u8* codes, std::size_t count, std::size_t width, u8* rows) {
    constexpr std::size_t step = group_items * fours_per_byte;  // bytes of rows for each byte of the codes
    for (std::size_t i = 0; i < count; i += group_items, rows += step * width) {
      const u8* const group = codes + i * width;
      if (width == 2) arrange_part<2>(group, count - i, width, rows);
      if (width == 4) arrange_part<4>(group, count - i, width, rows);
      for (std::size_t b = 0; b + word_width <= width; b += word_width) {
        arrange_part<word_width>(group + b, count - i, width, rows + step * b);
      }
    }
  }

  template <std::size_t Width>
  static void distances(const u8* tables, const u8* rows, std::size_t count, std::size_t width, u16* out) {
    const Query<Width> query(tables, width);
    for (std::size_t i = 0; i < count; i += group_items, rows += query.group_bytes()) {
      Sums sums[fours] = {};
      query.add_group(rows, sums);
      for (std::size_t s = 0; s < fours; ++s) sums[s].store(out + i + s * items_per_sums);
    }
  }

  template <std::size_t Width>
  static std::size_t scan(const u8* tables, const u8* rows, std::size_t count, std::size_t width, std::size_t threshold,
                          u32* positions, u16* found_distances) {
    const Query<Width> query(tables, width);
    const auto limit = V::Sums::limit(threshold);
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += group_items, rows += query.group_bytes()) {
      Sums sums[fours] = {};
      query.add_group(rows, sums);
      u64 below = 0;
      for (std::size_t s = 0; s < fours; ++s) below |= sums[s].below(limit) << (s * items_per_sums);
      if (count - i < group_items) below &= (u64{1} << (count - i)) - 1;
      if (below == 0) continue;
      alignas(sizeof(V)) u16 distances[group_items];
      for (std::size_t s = 0; s < fours; ++s) sums[s].store(distances + s * items_per_sums);
      const std::size_t here = V::expand(below, static_cast<u32>(i), positions + found);
      for (std::size_t j = found; j < found + here; ++j) found_distances[j] = distances[positions[j] - i];
      found += here;
    }
    return found;
  }
};

// Without byte look-ups: a table of 256 sums for each byte, built for a call from the two tables of its halves.
struct WeightedBytes {
  static constexpr std::size_t bytes_at_once = 8;

  static void arrange(const u8* codes, std::size_t count, std::size_t width, u8* rows) {
    std::memcpy(rows, codes, count * width);
  }

  template <std::size_t>
  static void distances(const u8* tables, const u8* codes, std::size_t count, std::size_t width, u16* out) {
    std::memset(out, 0, count * sizeof(u16));
    for (std::size_t first = 0; first < width; first += bytes_at_once) {
      u16 sums[bytes_at_once][256] = {};
      for (std::size_t b = 0; b < bytes_at_once && first + b < width; ++b) fill(tables, first + b, sums[b]);
      if (width - first >= bytes_at_once) {
        add<bytes_at_once>(sums, codes + first, count, width, out);
      } else if (width - first == 4) {
        add<4>(sums, codes + first, count, width, out);
      } else {
        add<2>(sums, codes + first, count, width, out);
      }
    }
  }

  template <std::size_t Width>
  static std::size_t scan(const u8* tables, const u8* codes, std::size_t count, std::size_t width,
                          std::size_t threshold, u32* positions, u16* found_distances) {
    distances<Width>(tables, codes, count, width, found_distances);
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const u16 distance = found_distances[i];
      positions[found] = static_cast<u32>(i);
      found_distances[found] = distance;
      found += distance < threshold;
    }
    return found;
  }

 private:
  static void fill(const u8* tables, std::size_t byte, u16 (&sums)[256]) {
    const u8* const low = tables + byte * fours_per_byte * entries_per_four;
    const u8* const high = low + entries_per_four;
    for (std::size_t i = 0; i < 256; ++i) sums[i] = static_cast<u16>(low[i % 16] + high[i / 16]);
  }

  template <std::size_t Bytes>
  static void add(const u16 (&sums)[bytes_at_once][256], const u8* codes, std::size_t count, std::size_t width,
                  u16* out) {
    for (std::size_t i = 0; i < count; ++i, codes += width) {
      std::size_t sum = out[i];
      for (std::size_t b = 0; b < Bytes; ++b) sum += sums[b][codes[b]];
      out[i] = static_cast<u16>(sum);
    }
  }
};

template <class W>
constexpr WeightedKernels weighted_kernels_of() {
  return {W::arrange,
          {W::template distances<2>, W::template distances<4>, W::template distances<8>, W::template distances<16>,
           W::template distances<32>, W::template distances<0>},
          {W::template scan<2>, W::template scan<4>, W::template scan<8>, W::template scan<16>, W::template scan<32>,
           W::template scan<0>}};
}

template <class V = Vector>
constexpr WeightedKernels weighted_kernels() {
  if constexpr (V::fours_per_row == 0) {
    return weighted_kernels_of<WeightedBytes>();
  } else {
    return weighted_kernels_of<WeightedLookups<V>>();
  }
}

}  // namespace
}  // namespace vtsearch
