// Two words of 8 bytes as one value, in portable C++. Compilers that have vector types keep them in a register of the
// platform's baseline: SSE2 on x86-64, NEON on arm64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"

namespace vtsearch {
namespace {

#if defined(__GNUC__)  // GCC and Clang

typedef std::uint64_t Words __attribute__((vector_size(16)));
typedef std::uint32_t Ints __attribute__((vector_size(16)));
typedef std::uint16_t Shorts __attribute__((vector_size(16)));
typedef std::uint8_t Bytes __attribute__((vector_size(16)));

// The elements of Size = 1, 4 or 8 bytes with even numbers, or with odd ones: first those of a, then those of b.
template <std::size_t Size>
VTSEARCH_ALWAYS_INLINE Words even(Words a, Words b) {
  if constexpr (Size == 8) return __builtin_shufflevector(a, b, 0, 2);
  if constexpr (Size == 4) return Words(__builtin_shufflevector(Ints(a), Ints(b), 0, 2, 4, 6));
  return Words(__builtin_shufflevector(Bytes(a), Bytes(b), 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
}
template <std::size_t Size>
VTSEARCH_ALWAYS_INLINE Words odd(Words a, Words b) {
  if constexpr (Size == 8) return __builtin_shufflevector(a, b, 1, 3);
  if constexpr (Size == 4) return Words(__builtin_shufflevector(Ints(a), Ints(b), 1, 3, 5, 7));
  return Words(__builtin_shufflevector(Bytes(a), Bytes(b), 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
}

// The bytes of the first words, or of the second ones, in turns.
VTSEARCH_ALWAYS_INLINE Words zipped_low(Words a, Words b) {
  return Words(__builtin_shufflevector(Bytes(a), Bytes(b), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
}
VTSEARCH_ALWAYS_INLINE Words zipped_high(Words a, Words b) {
  return Words(
      __builtin_shufflevector(Bytes(a), Bytes(b), 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
}

// All bits of each byte or 16-bit number that is below the threshold.
VTSEARCH_ALWAYS_INLINE Words all_bits_below(const std::uint8_t* p, std::uint8_t threshold) {
  Bytes values;
  std::memcpy(&values, p, 16);
  return Words(values < threshold);
}
VTSEARCH_ALWAYS_INLINE Words all_bits_below(const std::uint16_t* p, std::uint16_t threshold) {
  Shorts values;
  std::memcpy(&values, p, 16);
  return Words(values < threshold);
}

#else

struct Words {
  std::uint64_t word[2];

  Words() = default;
  Words(std::uint64_t both) : word{both, both} {}
  Words(std::uint64_t first, std::uint64_t second) : word{first, second} {}
  std::uint64_t operator[](std::size_t i) const { return word[i]; }

  friend Words operator&(Words a, Words b) { return {a[0] & b[0], a[1] & b[1]}; }
  friend Words operator|(Words a, Words b) { return {a[0] | b[0], a[1] | b[1]}; }
  friend Words operator^(Words a, Words b) { return {a[0] ^ b[0], a[1] ^ b[1]}; }
  friend Words operator+(Words a, Words b) { return {a[0] + b[0], a[1] + b[1]}; }
  friend Words operator-(Words a, Words b) { return {a[0] - b[0], a[1] - b[1]}; }
  friend Words operator~(Words a) { return {~a[0], ~a[1]}; }
  friend Words operator<<(Words a, int n) { return {a[0] << n, a[1] << n}; }
  friend Words operator>>(Words a, int n) { return {a[0] >> n, a[1] >> n}; }
};

// Byte i of the result is byte source(i) of a and b side by side.
template <class Source>
Words shuffled(Words a, Words b, Source source) {
  std::uint8_t from[32], to[16];
  std::memcpy(from, &a, 16);
  std::memcpy(from + 16, &b, 16);
  for (std::size_t i = 0; i < 16; ++i) to[i] = from[source(i)];
  Words words;
  std::memcpy(&words, to, 16);
  return words;
}

template <std::size_t Size>
Words even(Words a, Words b) {
  return shuffled(a, b, [](std::size_t i) { return i + i / Size * Size; });
}
template <std::size_t Size>
Words odd(Words a, Words b) {
  return shuffled(a, b, [](std::size_t i) { return i + (i / Size + 1) * Size; });
}
inline Words zipped_low(Words a, Words b) {
  return shuffled(a, b, [](std::size_t i) { return i / 2 + i % 2 * 16; });
}
inline Words zipped_high(Words a, Words b) {
  return shuffled(a, b, [](std::size_t i) { return i / 2 + i % 2 * 16 + 8; });
}

template <class Number>
Words all_bits_below(const Number* p, Number threshold) {
  Number bits[16 / sizeof(Number)];
  for (std::size_t i = 0; i < 16 / sizeof(Number); ++i)
    bits[i] = static_cast<Number>(p[i] < threshold ? ~Number{0} : 0);
  Words words;
  std::memcpy(&words, bits, 16);
  return words;
}

#endif

}  // namespace
}  // namespace vtsearch
