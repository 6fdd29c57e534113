// AVX-512 with VPOPCNTDQ, BITALG, VBMI, VBMI2 and VNNI (Ice Lake and later, Zen 4 and later): 64 bytes at a time.
//
//   VPOPCNTQ/D/W   3 cycles, 1 a cycle   popcount of each 64-, 32- or 16-bit lane
//   VPERMB         3-6,      1 a cycle   any permutation of 64 bytes: the transposition in one step
//   VPCOMPRESSB    3-6,      1/2 a cycle in the register form (the memory form, microcoded on Zen 4, is not used)
//   VPDPBUSD       4-5,      1-2 a cycle  sums of four neighboring bytes, added to a 32-bit lane
//
// 64-bit codes: 8 xor, 8 popcount, 7 shift, 7 or, 1 permute, 1 store for 64 codes. With one 512-bit popcount a cycle
// the limit would be 8 codes a cycle; with all 32 instructions on two ports it is 4.
//
// Weighted distances: a permutation looks up four tables of 16 at once, as a table of 64, and a dot product with ones
// adds the four entries of a code. 64 bits: 16 permutations, 16 dot products, 4 comparisons and 4 moves of masks for 64
// codes, 20 cycles on two ports.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compiler.h"
#include "simd/transpose.h"

namespace vtsearch {
namespace {

struct Vector {
  __m512i lanes;

  static constexpr std::size_t min_queries = 9;

  static Vector load(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  static void store(std::uint8_t* p, Vector v) { _mm512_storeu_si512(p, v.lanes); }

  static std::uint64_t popcount_word(std::uint64_t x) { return static_cast<std::uint64_t>(vtsearch::popcount(x)); }

  static Vector popcount(Vector v) { return {_mm512_popcnt_epi64(v.lanes)}; }

  template <int n>
  static Vector shift_left(Vector v) {
    return {_mm512_slli_epi64(v.lanes, n)};
  }

  // Counts have lanes of at most 8 bytes, where those of vector j end in unit j.
  template <std::size_t W>
  static Vector counts(Vector v) {
    if constexpr (W == 2) return {_mm512_popcnt_epi16(v.lanes)};
    if constexpr (W == 4) return {_mm512_popcnt_epi32(v.lanes)};
    return popcount(v);
  }
  template <std::size_t W, std::size_t U, std::size_t w>
  static Vector fold(Vector a, Vector b) {
    if constexpr (w <= 8) return {_mm512_or_si512(a.lanes, shift_left<int{8 * U * narrow(W) / w}>(b).lanes)};
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i sums = _mm512_add_epi64(_mm512_unpacklo_epi64(a.lanes, b.lanes),  //
                                          _mm512_unpackhi_epi64(a.lanes, b.lanes));
    return {_mm512_permutexvar_epi64(order, sums)};
  }
  template <std::size_t W, std::size_t U>
  static Vector ordered(Vector v) {
    alignas(64) static constexpr auto order = transposed<64, narrow(W), U>();
    return {_mm512_permutexvar_epi8(_mm512_load_si512(order.byte), v.lanes)};
  }

  static std::uint64_t below(const std::uint8_t* p, std::uint8_t threshold) {
    return _mm512_cmplt_epu8_mask(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(threshold)));
  }
  static std::uint64_t below(const std::uint16_t* p, std::uint16_t threshold) {
    return _mm512_cmplt_epu16_mask(_mm512_loadu_si512(p), _mm512_set1_epi16(static_cast<short>(threshold)));
  }

  // Writes the positions of up to 64 set bits, 16 at a time.
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    const auto found = static_cast<std::size_t>(vtsearch::popcount(mask));
    alignas(64) static constexpr auto order = identity<64>();
    const __m512i bits = _mm512_maskz_compress_epi8(mask, _mm512_load_si512(order.byte));
    const __m512i base = _mm512_set1_epi32(static_cast<int>(first));
    const auto store = [&](std::size_t i, __m128i part) {
      _mm512_storeu_si512(positions + i, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(part)));
    };
    store(0, _mm512_castsi512_si128(bits));
    if (found > 16) {
      store(16, _mm512_extracti32x4_epi32(bits, 1));
      store(32, _mm512_extracti32x4_epi32(bits, 2));
      store(48, _mm512_extracti32x4_epi32(bits, 3));
    }
    return found;
  }

  static Vector sum(Vector a, Vector b, Vector c) {
    return {_mm512_ternarylogic_epi64(a.lanes, b.lanes, c.lanes, 0x96)};
  }
  static Vector majority(Vector a, Vector b, Vector c) {
    return {_mm512_ternarylogic_epi64(a.lanes, b.lanes, c.lanes, 0xe8)};
  }
  static Vector without(Vector a, Vector b) { return {_mm512_andnot_si512(b.lanes, a.lanes)}; }
  static Vector broadcast(const std::uint64_t* p) { return {_mm512_set1_epi64(static_cast<long long>(*p))}; }
  static bool any(Vector v) { return _mm512_test_epi64_mask(v.lanes, v.lanes) != 0; }

  // Transposes bits within groups of eight codes, then words across eight groups, bytes within those words, and words
  // across the eight parts of a plane. GF2P8AFFINEQB multiplies two 8 x 8 bit matrices; with a constant vector of unit
  // columns as the data it transposes the other one, whose rows must be given from last to first.
  template <std::size_t Bytes>
  static void bit_slice(const std::uint8_t* codes, std::size_t stride, Planes planes) {
    alignas(64) static constexpr auto last_first = transposed_from_last();
    alignas(64) static constexpr auto first_first = transposed<64, 8, 1>();
    const __m512i columns = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201u));
    __m512i part[8][8];
    for (std::size_t g = 0; g < 8; ++g) {
      __m512i v[8];
      for (std::size_t i = 0; i < 8; ++i) {
        const __m512i words = octet<Bytes>(codes + (8 * g + i) * 8 * stride, stride);
        const __m512i bytes = _mm512_permutexvar_epi8(_mm512_load_si512(last_first.byte), words);
        v[i] = _mm512_gf2p8affine_epi64_epi8(columns, bytes, 0);
      }
      transpose_words(v);
      for (std::size_t c = 0; c < Bytes; ++c) {
        part[c][g] = _mm512_permutexvar_epi8(_mm512_load_si512(first_first.byte), v[c]);
      }
    }
    for (std::size_t c = 0; c < Bytes; ++c) {
      transpose_words(part[c]);
      for (std::size_t j = 0; j < 8; ++j) _mm512_storeu_si512(planes[8 * c + j], part[c][j]);
    }
  }

  static constexpr std::size_t fours_per_row = 4;
  using Tables = __m512i;
  static Tables load_tables(const std::uint8_t* p) { return _mm512_loadu_si512(p); }

  struct Sums {
    __m512i lanes;  // 16 of 32 bits

    void add(Tables tables, Vector row) {
      lanes = _mm512_dpbusd_epi32(lanes, _mm512_permutexvar_epi8(row.lanes, tables), _mm512_set1_epi8(1));
    }
    static __m512i limit(std::size_t threshold) { return _mm512_set1_epi32(static_cast<int>(threshold)); }
    std::uint64_t below(__m512i limit) const { return _mm512_cmplt_epi32_mask(lanes, limit); }
    void store(std::uint16_t* p) const {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(lanes));
    }
  };

  // Eight fours of each code are spread to the bytes of its 8-byte lane: two rows, which are then sorted by row.
  template <std::size_t Bytes>
  static void arrange(const std::uint8_t* codes, std::size_t stride, std::uint8_t* rows) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (std::size_t s = 0; s < fours_per_row; ++s, codes += 16 * stride, rows += 64) {
      const __m512i first = octet<Bytes>(codes, stride), second = octet<Bytes>(codes + 8 * stride, stride);
      const auto write = [&](std::size_t row, long long shifts) {
        const __m512i a = spread_fours(first, shifts), b = spread_fours(second, shifts);
        _mm512_storeu_si512(rows + row * 256, _mm512_permutex2var_epi32(a, even, b));
        if constexpr (Bytes > 2) _mm512_storeu_si512(rows + (row + 1) * 256, _mm512_permutex2var_epi32(a, odd, b));
      };
      write(0, 0x1c1814100c080400);
      if constexpr (Bytes > 4) write(2, 0x3c3834302c282420);
    }
  }

 private:
  // In each 8-byte lane the four bits at each of eight shifts, with their place in a row above them.
  static __m512i spread_fours(__m512i codes, long long shifts) {
    constexpr int and_or = 0xea;
    const __m512i fours = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(shifts), codes);
    return _mm512_ternarylogic_epi64(fours, _mm512_set1_epi8(0x0f), _mm512_set1_epi32(0x30201000), and_or);
  }

  static constexpr std::size_t narrow(std::size_t width) { return width < 8 ? width : 8; }

  // Loads eight codes of `Bytes` bytes, one per 8-byte lane.
  template <std::size_t Bytes>
  static __m512i octet(const std::uint8_t* codes, std::size_t stride) {
    if constexpr (Bytes == 2) return _mm512_cvtepu16_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    if constexpr (Bytes == 4) return _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    if (stride == 8) return _mm512_loadu_si512(codes);
    if (stride == 16) {  // masked: the last word of the second load can be beyond the last code
      const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
      return _mm512_permutex2var_epi64(_mm512_loadu_si512(codes), even, _mm512_maskz_loadu_epi64(0x7f, codes + 64));
    }
    const __m512i steps = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i offsets = _mm512_mullo_epi64(steps, _mm512_set1_epi64(static_cast<long long>(stride)));
    return _mm512_i64gather_epi64(offsets, codes, 1);
  }

  // Transposes 8 x 8 words of 8 bytes.
  static void transpose_words(__m512i (&v)[8]) {
    const __m512i low_pairs = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i high_pairs = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    __m512i pair[8], quad[8];
    for (int i = 0; i < 8; i += 2) {
      pair[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
      pair[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      for (int odd = 0; odd < 2; ++odd) {
        quad[i + odd] = _mm512_permutex2var_epi64(pair[i + odd], low_pairs, pair[i + 2 + odd]);
        quad[i + 2 + odd] = _mm512_permutex2var_epi64(pair[i + odd], high_pairs, pair[i + 2 + odd]);
      }
    }
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm512_shuffle_i64x2(quad[i], quad[4 + i], 0x44);
      v[4 + i] = _mm512_shuffle_i64x2(quad[i], quad[4 + i], 0xee);
    }
  }
};

inline Vector operator^(Vector a, Vector b) {
  return {_mm512_xor_si512(a.lanes, b.lanes)};
}
inline Vector operator|(Vector a, Vector b) {
  return {_mm512_or_si512(a.lanes, b.lanes)};
}
inline Vector operator&(Vector a, Vector b) {
  return {_mm512_and_si512(a.lanes, b.lanes)};
}
inline Vector operator+(Vector a, Vector b) {
  return {_mm512_add_epi64(a.lanes, b.lanes)};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_avx512 = table_of("avx512");
}
