// Portable C++: 8 bytes at a time, integer arithmetic only.
//
// Popcount by parallel sums (Hacker's Delight, section 5-1): 12 operations for 8 bytes. Uses no instruction beyond the
// baseline of the platform, so it runs on every CPU.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "simd/transpose.h"

namespace vtsearch {
namespace {

struct Vector {
  std::uint64_t word;

  static Vector load(const std::uint8_t* p) {
    Vector v;
    std::memcpy(&v.word, p, 8);
    return v;
  }
  static void store(std::uint8_t* p, Vector v) { std::memcpy(p, &v.word, 8); }

  static std::uint64_t byte_counts(std::uint64_t x) {
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    return (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  }
  static std::uint64_t popcount_word(std::uint64_t x) { return (byte_counts(x) * 0x0101010101010101u) >> 56; }

  static constexpr bool popcount_is_fast = false;
  template <std::size_t W>
  static Vector popcount(Vector v) {
    if constexpr (W == 8) return {popcount_word(v.word)};
    std::uint64_t x = byte_counts(v.word);
    x = (x + (x >> 8)) & 0x00ff00ff00ff00ffu;
    if constexpr (W == 4) x = (x + (x >> 16)) & 0x000000ff000000ffu;
    return {x};
  }

  // Counts fit the low byte of their lane, so shifting the whole word moves no bit into the next lane.
  template <std::size_t W, int n>
  static Vector shift_left(Vector v) {
    return {v.word << n};
  }
  static Vector pair_sum(Vector a, Vector b) { return {a.word + b.word}; }

  template <std::size_t W, std::size_t U>
  static Vector untangle(Vector v) {
    constexpr std::size_t lanes = 8 / W;
    if constexpr (lanes == 1) return v;
    std::uint8_t in[8], out[8];
    store(in, v);
    for (std::size_t i = 0; i < lanes; ++i)
      for (std::size_t j = 0; j < W / U; ++j)
        for (std::size_t u = 0; u < U; ++u) out[(j * lanes + i) * U + u] = in[i * W + j * U + u];
    return load(out);
  }

  template <class Distance>
  static std::uint64_t below(const Distance* p, Distance threshold) {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < 8 / sizeof(Distance); ++i) mask |= std::uint64_t{p[i] < threshold} << i;
    return mask;
  }
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    std::size_t found = 0;
    for (; mask != 0; mask &= mask - 1) positions[found++] = first + static_cast<std::uint32_t>(trailing_zeros(mask));
    return found;
  }

  static Vector sum(Vector a, Vector b, Vector c) { return {a.word ^ b.word ^ c.word}; }
  static Vector majority(Vector a, Vector b, Vector c) { return {(a.word & b.word) | ((a.word ^ b.word) & c.word)}; }
  static Vector without(Vector a, Vector b) { return {a.word & ~b.word}; }
  static Vector broadcast(const std::uint64_t* p) { return {*p}; }
  static bool any(Vector v) { return v.word != 0; }
  template <std::size_t Bytes>
  static void bit_slice(const std::uint8_t* codes, std::size_t stride, Planes planes) {
    bit_slice_portably<Bytes>(codes, stride, planes);
  }

  static constexpr std::size_t fours_per_row = 0;
};

inline Vector operator^(Vector a, Vector b) {
  return {a.word ^ b.word};
}
inline Vector operator|(Vector a, Vector b) {
  return {a.word | b.word};
}
inline Vector operator&(Vector a, Vector b) {
  return {a.word & b.word};
}
inline Vector operator+(Vector a, Vector b) {
  return {a.word + b.word};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_scalar = table_of("scalar");
}
