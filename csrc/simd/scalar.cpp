// Portable C++: 16 bytes at a time, integer arithmetic only.
//
// Popcount by parallel sums (Hacker's Delight, section 5-1). Uses no instruction beyond the baseline of the platform,
// so it runs on every CPU.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "simd/transpose.h"
#include "simd/words.h"

namespace vtsearch {
namespace {

struct Vector {
  Words words;

  static constexpr std::size_t min_queries = 4;

  static Vector load(const std::uint8_t* p) {
    Vector v;
    std::memcpy(&v.words, p, 16);
    return v;
  }
  static void store(std::uint8_t* p, Vector v) { std::memcpy(p, &v.words, 16); }

  // Counts of half bytes and of bytes, for one word or two.
  template <class Word>
  static Word half_byte_counts(Word x) {
    x = x - ((x >> 1) & 0x5555555555555555u);
    return (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  }
  template <class Word>
  static Word byte_counts(Word x) {
    x = half_byte_counts(x);
    return (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  }
  static std::uint64_t popcount_word(std::uint64_t x) { return (byte_counts(x) * 0x0101010101010101u) >> 56; }

  static Vector popcount(Vector v) {
    Words x = byte_counts(v.words);
    x = x + (x >> 8);
    x = x + (x >> 16);
    return {(x + (x >> 32)) & 0x7fu};
  }

  // Counts of half bytes: the first sums of two still fit them, those of codes of 2 bytes excepted.
  template <std::size_t W>
  static Vector counts(Vector v) {
    return {W == 2 ? byte_counts(v.words) : half_byte_counts(v.words)};
  }
  template <std::size_t W, std::size_t, std::size_t w>
  static Vector fold(Vector a, Vector b) {
    constexpr std::size_t part = w < 8 ? 1 : w / 2;
    const Words sums = w == 32 ? a.words + b.words : even<part>(a.words, b.words) + odd<part>(a.words, b.words);
    if constexpr (w < W || W == 2) return {sums};
    return {(sums & 0x0f0f0f0f0f0f0f0fu) + ((sums >> 4) & 0x0f0f0f0f0f0f0f0fu)};
  }
  template <std::size_t, std::size_t U>
  static Vector ordered(Vector v) {
    if constexpr (U == 1) return v;
    return {(v.words & 0x00ff00ff00ff00ffu) + ((v.words >> 8) & 0x00ff00ff00ff00ffu)};
  }

  static std::uint64_t below(const std::uint8_t* p, std::uint8_t threshold) {
    const Words below = all_bits_below(p, threshold);
    return bit_of_each_byte(below[0]) | bit_of_each_byte(below[1]) << 8;
  }
  static std::uint64_t below(const std::uint16_t* p, std::uint16_t threshold) {
    const Words below = all_bits_below(p, threshold);
    return bit_of_each_byte(even<1>(below, below)[0]);
  }
  static std::size_t expand(std::uint64_t mask, std::uint32_t first, std::uint32_t* positions) {
    std::size_t found = 0;
    for (; mask != 0; mask &= mask - 1) positions[found++] = first + static_cast<std::uint32_t>(trailing_zeros(mask));
    return found;
  }

  template <int n>
  static Vector shift_left(Vector v) {
    return {v.words << n};
  }
  template <int n>
  static Vector shift_right(Vector v) {
    return {v.words >> n};
  }
  static Vector sum(Vector a, Vector b, Vector c) { return {a.words ^ b.words ^ c.words}; }
  static Vector majority(Vector a, Vector b, Vector c) {
    return {(a.words & b.words) | ((a.words ^ b.words) & c.words)};
  }
  static Vector without(Vector a, Vector b) { return {a.words & ~b.words}; }
  static Vector broadcast(const std::uint64_t* p) { return {Words{*p, *p}}; }
  static bool any(Vector v) { return (v.words[0] | v.words[1]) != 0; }

  template <std::size_t Bytes>
  static void bit_slice(const std::uint8_t* codes, std::size_t stride, Planes planes) {
    bit_slice_in_lanes<Bytes, Vector>(codes, stride, planes);
  }
  static Vector load_lanes(const std::uint8_t* p, std::size_t) { return load(p); }
  static Vector load_words(const std::uint8_t* p, std::size_t stride, std::size_t) {
    std::uint64_t word[2];
    std::memcpy(word, p, 8);
    std::memcpy(word + 1, p + stride, 8);
    return {Words{word[0], word[1]}};
  }
  static Vector zip_low(Vector a, Vector b) { return {zipped_low(a.words, b.words)}; }
  static Vector zip_high(Vector a, Vector b) { return {zipped_high(a.words, b.words)}; }

  static constexpr std::size_t fours_per_row = 0;

 private:
  // Bit i is set if byte i, all zeros or all ones, is.
  static std::uint64_t bit_of_each_byte(std::uint64_t bytes) {
    return ((bytes & 0x8040201008040201u) * 0x0101010101010101u) >> 56;
  }
};

inline Vector operator^(Vector a, Vector b) {
  return {a.words ^ b.words};
}
inline Vector operator|(Vector a, Vector b) {
  return {a.words | b.words};
}
inline Vector operator&(Vector a, Vector b) {
  return {a.words & b.words};
}
inline Vector operator+(Vector a, Vector b) {
  return {a.words + b.words};
}

}  // namespace
}  // namespace vtsearch

#include "simd/kernels.inl"

namespace vtsearch {
constinit const Kernels kernels_scalar = table_of("scalar");
}
