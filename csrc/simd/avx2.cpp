// AVX2: 32 bytes at a time.
//
//   VPSHUFB    1 cycle   table lookup of the popcount of each half byte
//   VPSADBW    3-5       sums the 8 byte counts of a 64-bit lane
//   VPACKUS    1-3       lanes of two registers, half as wide, in one
//   VPUNPCK    1         the bytes of two registers in turns
//
// 64-bit codes: load and xor, 2 and, 1 shift, 2 shuffle, 1 sad, 1 pack for 4 codes, 2 instructions a code.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compiler.h"
#include "simd/transpose.h"

namespace vtsearch {
namespace {

struct Vector {
  __m256i lanes;

  static constexpr std::size_t min_queries = 6;

  static Vector load(const std::uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  static void store(std::uint8_t* p, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.lanes); }

  static std::uint64_t popcount_word(std::uint64_t x) { return static_cast<std::uint64_t>(vtsearch::popcount(x)); }

  static Vector popcount(Vector v) {
    // 4 + the count of the lower half byte, 4 - that of the upper one: VPSADBW sums the differences
    return {_mm256_sad_epu8(looked_up<4, 1>(v.lanes), looked_up<4, -1>(_mm256_srli_epi16(v.lanes, 4)))};
  }

  template <int n>
  static Vector shift_left(Vector v) {
    return {_mm256_slli_epi64(v.lanes, n)};
  }
  template <int n>
  static Vector shift_right(Vector v) {
    return {_mm256_srli_epi64(v.lanes, n)};
  }

  // Counts of bytes, or of words of 8 bytes. They are packed as they are while they fit, and then added in pairs; the
  // codes are in order within each half of the register. Codes of 32 bytes have two counts in each half.
  template <std::size_t W>
  static Vector counts(Vector v) {
    if constexpr (W >= 8) return popcount(v);
    return {_mm256_add_epi8(looked_up<0, 1>(v.lanes), looked_up<0, 1>(_mm256_srli_epi16(v.lanes, 4)))};
  }
  template <std::size_t W, std::size_t, std::size_t w>
  static Vector fold(Vector a, Vector b) {
    if constexpr (W >= 8 && W / w < 4) return {_mm256_packus_epi32(a.lanes, b.lanes)};
    if constexpr (W >= 8 && W / w == 4) return {_mm256_packus_epi16(a.lanes, b.lanes)};
    const __m256i sums_a = pair_sums(a.lanes), sums_b = pair_sums(b.lanes);
    if constexpr (W <= 16) return {_mm256_packus_epi16(sums_a, sums_b)};
    return {_mm256_add_epi16(_mm256_permute2x128_si256(sums_a, sums_b, 0x20),
                             _mm256_permute2x128_si256(sums_a, sums_b, 0x31))};
  }
  template <std::size_t W, std::size_t>
  static Vector ordered(Vector v) {
    const __m256i quarters = _mm256_permute4x64_epi64(v.lanes, _MM_SHUFFLE(3, 1, 2, 0));
    if constexpr (W == 32) {
      return v;
    } else if constexpr (W == 2) {
      return {quarters};
    } else {  // 16 / W neighboring codes of each half
      alignas(16) static constexpr auto order = transposed<16, 8, 16 / W>();
      const __m128i pattern = _mm_load_si128(reinterpret_cast<const __m128i*>(order.byte));
      return {_mm256_shuffle_epi8(quarters, _mm256_broadcastsi128_si256(pattern))};
    }
  }

  static std::uint64_t below(const std::uint8_t* p, std::uint8_t threshold) {
    const __m256i limit = _mm256_set1_epi8(static_cast<char>(threshold));
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i not_below = _mm256_cmpeq_epi8(_mm256_max_epu8(values, limit), values);
    return static_cast<std::uint32_t>(~_mm256_movemask_epi8(not_below));
  }
  static std::uint64_t below(const std::uint16_t* p, std::uint16_t threshold) {
    const __m256i limit = _mm256_set1_epi16(static_cast<short>(threshold));
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i not_below = _mm256_cmpeq_epi16(_mm256_max_epu16(values, limit), values);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(not_below, _mm256_setzero_si256()), 0xd8);
    return static_cast<std::uint16_t>(~_mm256_movemask_epi8(packed));
  }
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    std::size_t found = 0;
    for (; mask != 0; mask = _blsr_u64(mask)) positions[found++] = first + static_cast<std::uint32_t>(_tzcnt_u64(mask));
    return found;
  }

  static Vector sum(Vector a, Vector b, Vector c) {
    return {_mm256_xor_si256(_mm256_xor_si256(a.lanes, b.lanes), c.lanes)};
  }
  static Vector majority(Vector a, Vector b, Vector c) {
    const __m256i one = _mm256_xor_si256(a.lanes, b.lanes);
    return {_mm256_or_si256(_mm256_and_si256(a.lanes, b.lanes), _mm256_and_si256(one, c.lanes))};
  }
  static Vector without(Vector a, Vector b) { return {_mm256_andnot_si256(b.lanes, a.lanes)}; }
  static Vector broadcast(const std::uint64_t* p) { return {_mm256_set1_epi64x(static_cast<long long>(*p))}; }
  static bool any(Vector v) { return _mm256_testz_si256(v.lanes, v.lanes) == 0; }
  template <std::size_t Bytes>
  static void bit_slice(const std::uint8_t* codes, std::size_t stride, Planes planes) {
    bit_slice_in_lanes<Bytes, Vector>(codes, stride, planes);
  }

  static constexpr std::size_t fours_per_row = 1;
  using Tables = __m256i;
  static Tables load_tables(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }

  // Of bytes x, in 16-bit lanes: the sums of x[2 i] + 256 x[2 i + 1], and those of x[2 i + 1].
  struct Sums {
    __m256i both, odd;

    void add(Tables tables, Vector row) {
      const __m256i entries = _mm256_shuffle_epi8(tables, row.lanes);
      both = _mm256_add_epi16(both, entries);
      odd = _mm256_add_epi16(odd, _mm256_srli_epi16(entries, 8));
    }
    __m256i even() const { return _mm256_sub_epi16(both, _mm256_slli_epi16(odd, 8)); }

    static __m256i limit(std::size_t threshold) { return _mm256_set1_epi16(static_cast<short>(threshold)); }
    static __m256i not_below(__m256i sums, __m256i limit) {
      return _mm256_cmpeq_epi16(_mm256_max_epu16(sums, limit), sums);
    }
    std::uint64_t below(__m256i limit) const {
      const __m256i low = _mm256_srli_epi16(not_below(even(), limit), 8);
      const __m256i high = _mm256_slli_epi16(not_below(odd, limit), 8);
      return static_cast<std::uint32_t>(~_mm256_movemask_epi8(_mm256_or_si256(low, high)));
    }
    void store(std::uint16_t* p) const {
      const __m256i low = _mm256_unpacklo_epi16(even(), odd), high = _mm256_unpackhi_epi16(even(), odd);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute2x128_si256(low, high, 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 16), _mm256_permute2x128_si256(low, high, 0x31));
    }
  };

  static Vector load_lanes(const std::uint8_t* p, std::size_t lane) { return join(load_half(p), load_half(p + lane)); }
  static Vector load_words(const std::uint8_t* p, std::size_t stride, std::size_t lane) {
    return join(words(p, stride), words(p + lane, stride));
  }
  static Vector zip_low(Vector a, Vector b) { return {_mm256_unpacklo_epi8(a.lanes, b.lanes)}; }
  static Vector zip_high(Vector a, Vector b) { return {_mm256_unpackhi_epi8(a.lanes, b.lanes)}; }
  static Vector low_fours(Vector v) { return {_mm256_and_si256(v.lanes, _mm256_set1_epi8(0x0f))}; }
  static Vector high_fours(Vector v) { return low_fours({_mm256_srli_epi16(v.lanes, 4)}); }

 private:
  // base + sign * the number of bits set in the lower half of each byte
  template <int base, int sign>
  static __m256i looked_up(__m256i bytes) {
    const auto entry = [](int count) { return static_cast<char>(base + sign * count); };
    const char none = entry(0), one = entry(1), two = entry(2), three = entry(3), four = entry(4);
    const __m256i table =
        _mm256_setr_epi8(none, one, one, two, one, two, two, three, one, two, two, three, two, three, three, four,  //
                         none, one, one, two, one, two, two, three, one, two, two, three, two, three, three, four);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f)));
  }
  static __m256i pair_sums(__m256i bytes) { return _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)); }
  static __m128i load_half(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static __m128i load_word(const std::uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
  static __m128i words(const std::uint8_t* p, std::size_t stride) {
    return _mm_unpacklo_epi64(load_word(p), load_word(p + stride));
  }
  static Vector join(__m128i low, __m128i high) { return {_mm256_set_m128i(high, low)}; }
};

inline Vector operator^(Vector a, Vector b) {
  return {_mm256_xor_si256(a.lanes, b.lanes)};
}
inline Vector operator|(Vector a, Vector b) {
  return {_mm256_or_si256(a.lanes, b.lanes)};
}
inline Vector operator&(Vector a, Vector b) {
  return {_mm256_and_si256(a.lanes, b.lanes)};
}
inline Vector operator+(Vector a, Vector b) {
  return {_mm256_add_epi64(a.lanes, b.lanes)};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_avx2 = table_of("avx2");
}
