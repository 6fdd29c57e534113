// Transpositions: as orders of bytes that a shuffle instruction takes, and as plain arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {
namespace {

template <std::size_t Size>
struct ByteOrder {
  std::uint8_t byte[Size];
};

// Where each byte of a register comes from when unit j (U bytes) of lane i (W bytes) goes to unit j * lanes + i.
template <std::size_t Size, std::size_t W, std::size_t U>
constexpr ByteOrder<Size> transposed() {
  ByteOrder<Size> order{};
  constexpr std::size_t lanes = Size / W;
  for (std::size_t i = 0; i < lanes; ++i)
    for (std::size_t j = 0; j < W / U; ++j)
      for (std::size_t u = 0; u < U; ++u)
        order.byte[(j * lanes + i) * U + u] = static_cast<std::uint8_t>(i * W + j * U + u);
  return order;
}

// 8 rows of 8 bytes, transposed; the first row last in each word.
constexpr ByteOrder<64> transposed_from_last() {
  ByteOrder<64> order{};
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t b = 0; b < 8; ++b) order.byte[8 * b + 7 - i] = static_cast<std::uint8_t>(8 * i + b);
  return order;
}

// Every byte where it is: a transposition of one lane.
template <std::size_t Size>
constexpr ByteOrder<Size> identity() {
  return transposed<Size, Size, 1>();
}

// Swaps the bits of `low` under `mask << shift` with those of `high` under `mask`.
inline void swap_bits(std::uint64_t& low, std::uint64_t& high, int shift, std::uint64_t mask) {
  const std::uint64_t change = ((low >> shift) ^ high) & mask;
  high ^= change;
  low ^= change << shift;
}

// 8 words of 8 bytes: byte j of word i goes to byte i of word j.
inline void transpose_word_bytes(std::uint64_t (&word)[8]) {
  constexpr std::uint64_t masks[3] = {0x00000000ffffffffu, 0x0000ffff0000ffffu, 0x00ff00ff00ff00ffu};
  for (int step = 4, level = 0; step > 0; step /= 2, ++level) {
    for (int i = 0; i < 8; ++i) {
      if ((i & step) == 0) swap_bits(word[i], word[i + step], 8 * step, masks[level]);
    }
  }
}

// A word as 8 rows of 8 bits: bit j of byte i goes to bit i of byte j.
inline std::uint64_t transpose_bits(std::uint64_t x) {
  const auto swap = [&x](int shift, std::uint64_t mask) {
    const std::uint64_t change = ((x >> shift) ^ x) & mask;
    x ^= change ^ (change << shift);
  };
  swap(7, 0x00aa00aa00aa00aau);
  swap(14, 0x0000cccc0000ccccu);
  swap(28, 0x00000000f0f0f0f0u);
  return x;
}

// Eight codes of at most 8 bytes, `stride` apart: bit i of byte p becomes bit p of code i.
template <std::size_t Bytes>
inline void transpose_octet_plainly(const std::uint8_t* codes, std::size_t stride, std::uint8_t* out) {
  std::uint64_t word[8] = {};
  for (std::size_t i = 0; i < 8; ++i) __builtin_memcpy(&word[i], codes + i * stride, Bytes);
  transpose_word_bytes(word);
  for (auto& bytes : word) bytes = transpose_bits(bytes);
  __builtin_memcpy(out, word, sizeof word);
}

// 64 rows of 64 bytes: byte j of row i goes to byte i of row j.
inline void transpose_bytes_plainly(const std::uint8_t (*in)[64], std::uint8_t (*out)[64]) {
  for (int i = 0; i < 64; i += 8) {
    for (int j = 0; j < 64; j += 8) {
      std::uint64_t word[8];
      for (int r = 0; r < 8; ++r) __builtin_memcpy(&word[r], &in[i + r][j], 8);
      transpose_word_bytes(word);
      for (int r = 0; r < 8; ++r) __builtin_memcpy(&out[j + r][i], &word[r], 8);
    }
  }
}

}  // namespace
}  // namespace vtsearch
