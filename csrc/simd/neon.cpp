// NEON, part of the arm64 baseline: 16 bytes at a time.
//
//   CNT       2 cycles   popcount of each byte
//   ADDP      2          sums of neighboring bytes of two registers, side by side
//   ZIP       2          the bytes of two registers in turns
//   BSL       1          bitwise select: the carry of a full adder, whose sum is two EOR
//
// 64-bit codes, row kernels: two loads, two eor, two cnt and less than two addp for 4 codes. Bit-sliced: three
// instructions per full adder.
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "compiler.h"
#include "simd/transpose.h"

namespace vtsearch {
namespace {

struct Vector {
  uint8x16_t lanes;

  static constexpr std::size_t min_queries = 16;

  static Vector load(const std::uint8_t* p) { return {vld1q_u8(p)}; }
  static void store(std::uint8_t* p, Vector v) { vst1q_u8(p, v.lanes); }

  static std::uint64_t popcount_word(std::uint64_t x) { return static_cast<std::uint64_t>(vtsearch::popcount(x)); }

  static Vector popcount(Vector v) {
    return {vreinterpretq_u8_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8(v.lanes)))))};
  }

  template <std::size_t>
  static Vector counts(Vector v) {
    return {vcntq_u8(v.lanes)};
  }
  template <std::size_t, std::size_t, std::size_t w>
  static Vector fold(Vector a, Vector b) {
    return {w == 32 ? vaddq_u8(a.lanes, b.lanes) : vpaddq_u8(a.lanes, b.lanes)};
  }
  template <std::size_t, std::size_t U>
  static Vector ordered(Vector v) {
    return {U == 1 ? v.lanes : vreinterpretq_u8_u16(vpaddlq_u8(v.lanes))};
  }

  template <int n>
  static Vector shift_left(Vector v) {
    return {vreinterpretq_u8_u64(vshlq_n_u64(words(v), n))};
  }
  template <int n>
  static Vector shift_right(Vector v) {
    return {vreinterpretq_u8_u64(vshrq_n_u64(words(v), n))};
  }

  // The places of lanes of ones. NEON has no movemask: each lane keeps the bit of its place, and a horizontal sum
  // combines them.
  static std::uint64_t places(uint8x16_t ones) {
    static constexpr std::uint8_t place[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bits = vandq_u8(ones, vld1q_u8(place));
    return vaddv_u8(vget_low_u8(bits)) | std::uint64_t{vaddv_u8(vget_high_u8(bits))} << 8;
  }
  static std::uint64_t below(const std::uint8_t* p, std::uint8_t threshold) {
    return places(vcltq_u8(vld1q_u8(p), vdupq_n_u8(threshold)));
  }
  static std::uint64_t below(const std::uint16_t* p, std::uint16_t threshold) {
    static constexpr std::uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddvq_u16(vandq_u16(vcltq_u16(vld1q_u16(p), vdupq_n_u16(threshold)), vld1q_u16(places)));
  }
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    std::size_t found = 0;
    for (; mask != 0; mask &= mask - 1) positions[found++] = first + static_cast<std::uint32_t>(trailing_zeros(mask));
    return found;
  }

  static Vector sum(Vector a, Vector b, Vector c) { return {veorq_u8(veorq_u8(a.lanes, b.lanes), c.lanes)}; }
  static Vector majority(Vector a, Vector b, Vector c) {
    return {vbslq_u8(veorq_u8(a.lanes, b.lanes), c.lanes, a.lanes)};
  }
  static Vector without(Vector a, Vector b) { return {vbicq_u8(a.lanes, b.lanes)}; }
  static Vector broadcast(const std::uint64_t* p) { return {vreinterpretq_u8_u64(vdupq_n_u64(*p))}; }
  static bool any(Vector v) { return vmaxvq_u32(vreinterpretq_u32_u8(v.lanes)) != 0; }
  template <std::size_t Bytes>
  static void bit_slice(const std::uint8_t* codes, std::size_t stride, Planes planes) {
    bit_slice_in_lanes<Bytes, Vector>(codes, stride, planes);
  }

  static constexpr std::size_t fours_per_row = 1;
  using Tables = uint8x16_t;
  static Tables load_tables(const std::uint8_t* p) { return vld1q_u8(p); }

  struct Sums {
    uint16x8_t low, high;  // codes 0 .. 7, 8 .. 15

    void add(Tables tables, Vector row) {
      const uint8x16_t entries = vqtbl1q_u8(tables, row.lanes);
      low = vaddw_u8(low, vget_low_u8(entries));
      high = vaddw_high_u8(high, entries);
    }
    static uint16x8_t limit(std::size_t threshold) { return vdupq_n_u16(static_cast<std::uint16_t>(threshold)); }
    std::uint64_t below(uint16x8_t limit) const {
      return places(vcombine_u8(vmovn_u16(vcltq_u16(low, limit)), vmovn_u16(vcltq_u16(high, limit))));
    }
    void store(std::uint16_t* p) const {
      vst1q_u16(p, low);
      vst1q_u16(p + 8, high);
    }
  };

  static Vector load_lanes(const std::uint8_t* p, std::size_t) { return load(p); }
  static Vector load_words(const std::uint8_t* p, std::size_t stride, std::size_t) {
    return {vcombine_u8(vld1_u8(p), vld1_u8(p + stride))};
  }
  static Vector zip_low(Vector a, Vector b) { return {vzip1q_u8(a.lanes, b.lanes)}; }
  static Vector zip_high(Vector a, Vector b) { return {vzip2q_u8(a.lanes, b.lanes)}; }
  static Vector low_fours(Vector v) { return {vandq_u8(v.lanes, vdupq_n_u8(0x0f))}; }
  static Vector high_fours(Vector v) { return {vshrq_n_u8(v.lanes, 4)}; }

 private:
  static uint64x2_t words(Vector v) { return vreinterpretq_u64_u8(v.lanes); }
};

inline Vector operator^(Vector a, Vector b) {
  return {veorq_u8(a.lanes, b.lanes)};
}
inline Vector operator|(Vector a, Vector b) {
  return {vorrq_u8(a.lanes, b.lanes)};
}
inline Vector operator&(Vector a, Vector b) {
  return {vandq_u8(a.lanes, b.lanes)};
}
inline Vector operator+(Vector a, Vector b) {
  return {vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(a.lanes), vreinterpretq_u64_u8(b.lanes)))};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_neon = table_of("neon");
}
