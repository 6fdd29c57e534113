// Transpositions: as byte orders for shuffle instructions, and in portable arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vtsearch {
namespace {

template <std::size_t Size>
struct ByteOrder {
  std::uint8_t byte[Size];
};

// The source of each byte when unit j (U bytes) of lane i (W bytes) moves to unit j * lanes + i.
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

// The transposition of 8 rows of 8 bytes, with the first row last in each word.
constexpr ByteOrder<64> transposed_from_last() {
  ByteOrder<64> order{};
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t b = 0; b < 8; ++b) order.byte[8 * b + 7 - i] = static_cast<std::uint8_t>(8 * i + b);
  return order;
}

// The identity: a transposition of one lane.
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

// Transposes 8 words of 8 bytes: byte j of word i moves to byte i of word j.
inline void transpose_word_bytes(std::uint64_t (&word)[8]) {
  constexpr std::uint64_t masks[3] = {0x00000000ffffffffu, 0x0000ffff0000ffffu, 0x00ff00ff00ff00ffu};
  for (int step = 4, level = 0; step > 0; step /= 2, ++level) {
    for (int i = 0; i < 8; ++i) {
      if ((i & step) == 0) swap_bits(word[i], word[i + step], 8 * step, masks[level]);
    }
  }
}

// Transposes a word as 8 rows of 8 bits: bit j of byte i moves to bit i of byte j.
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

// 64 planes of 512 bits.
using Planes = std::uint8_t (*)[64];

// Transposes 512 codes of at most 8 bytes, `stride` apart: bit i of plane p becomes bit p of code i. First within
// groups of eight codes, then across eight such groups.
template <std::size_t Bytes>
inline void bit_slice_portably(const std::uint8_t* codes, std::size_t stride, Planes planes) {
  for (std::size_t octets = 0; octets < 64; octets += 8) {
    std::uint64_t row[8][8];  // for each group of eight codes, the bits of each byte
    for (std::size_t octet = 0; octet < 8; ++octet) {
      for (std::size_t i = 0; i < 8; ++i) {
        row[octet][i] = 0;
        std::memcpy(&row[octet][i], codes + ((octets + octet) * 8 + i) * stride, Bytes);
      }
      transpose_word_bytes(row[octet]);
      for (auto& bytes : row[octet]) bytes = transpose_bits(bytes);
    }
    for (std::size_t byte = 0; byte < 8; ++byte) {
      std::uint64_t word[8];
      for (std::size_t octet = 0; octet < 8; ++octet) word[octet] = row[octet][byte];
      transpose_word_bytes(word);
      for (std::size_t j = 0; j < 8; ++j) std::memcpy(&planes[8 * byte + j][octets], &word[j], 8);
    }
  }
}

}  // namespace
}  // namespace vtsearch
