// AVX-512 with VPOPCNTDQ, BITALG, VBMI and VBMI2 (Ice Lake and later, Zen 4 and later): 64 bytes at a time.
//
//   VPOPCNTQ/D/W   3 cycles, 1 a cycle   bits of each 64-, 32- or 16-bit lane: the whole of the counting
//   VPERMB         3-6,      1 a cycle   any order of 64 bytes: the transposition in one step
//   VPCOMPRESSB    3-6,      1/2 a cycle in its register form (the memory form is microcoded on Zen 4 and not used)
//
// 64-bit codes: 8 xor, 8 popcount, 7 shift, 7 or, 1 permute, 1 store for 64 codes. With one 512-bit popcount a cycle
// the bound is 8 codes a cycle; all 32 instructions on two ports make it 4.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "simd/transpose.h"

namespace vtsearch {
namespace {

struct Vector {
  __m512i lanes;

  static Vector load(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  static void store(std::uint8_t* p, Vector v) { _mm512_storeu_si512(p, v.lanes); }

  static std::uint64_t popcount_word(std::uint64_t x) { return static_cast<std::uint64_t>(__builtin_popcountll(x)); }

  template <std::size_t W>
  static Vector popcount(Vector v) {
    if constexpr (W == 8) return {_mm512_popcnt_epi64(v.lanes)};
    if constexpr (W == 4) return {_mm512_popcnt_epi32(v.lanes)};
    return {_mm512_popcnt_epi16(v.lanes)};
  }

  template <std::size_t W, int n>
  static Vector shift_left(Vector v) {
    if constexpr (W == 8) return {_mm512_slli_epi64(v.lanes, n)};
    if constexpr (W == 4) return {_mm512_slli_epi32(v.lanes, n)};
    return {_mm512_slli_epi16(v.lanes, n)};
  }

  static Vector pair_sum(Vector a, Vector b) {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i sums = _mm512_add_epi64(_mm512_unpacklo_epi64(a.lanes, b.lanes),  //
                                          _mm512_unpackhi_epi64(a.lanes, b.lanes));
    return {_mm512_permutexvar_epi64(order, sums)};
  }

  template <std::size_t W, std::size_t U>
  static Vector untangle(Vector v) {
    alignas(64) static constexpr auto order = transposed<64, W, U>();
    return {_mm512_permutexvar_epi8(_mm512_load_si512(order.byte), v.lanes)};
  }

  static std::uint64_t below(const std::uint8_t* p, std::uint8_t threshold) {
    return _mm512_cmplt_epu8_mask(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(threshold)));
  }
  static std::uint64_t below(const std::uint16_t* p, std::uint16_t threshold) {
    return _mm512_cmplt_epu16_mask(_mm512_loadu_si512(p), _mm512_set1_epi16(static_cast<short>(threshold)));
  }

  // The positions of up to 64 set bits, 16 at a time.
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    const auto found = static_cast<std::size_t>(__builtin_popcountll(mask));
    alignas(64) static constexpr auto order = identity<64>();
    alignas(64) std::uint8_t bits[64];
    _mm512_store_si512(bits, _mm512_maskz_compress_epi8(mask, _mm512_load_si512(order.byte)));
    const __m512i base = _mm512_set1_epi32(static_cast<int>(first));
    for (std::size_t i = 0; i < found; i += 16) {
      const __m512i offsets = _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(bits + i)));
      _mm512_storeu_si512(positions + i, _mm512_add_epi32(base, offsets));
    }
    return found;
  }
};

inline Vector operator^(Vector a, Vector b) {
  return {_mm512_xor_si512(a.lanes, b.lanes)};
}
inline Vector operator|(Vector a, Vector b) {
  return {_mm512_or_si512(a.lanes, b.lanes)};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_avx512 = table_of("avx512");
}
