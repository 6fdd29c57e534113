// Bitmaps: number i is bit i % 64 of word i / 64.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vtsearch {

inline constexpr std::size_t words_for(std::size_t numbers) {
  return (numbers + 63) / 64;
}

// The number of ones of each byte, also where the compiler may not assume an instruction for it.
inline std::uint64_t count_bits_of_bytes(std::uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555u;
  word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
  return (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

// The number of ones.
inline std::size_t count_bits(std::uint64_t word) {
  return static_cast<std::size_t>(count_bits_of_bytes(word) * 0x0101010101010101u >> 56);
}

// The number of ones of `count` words at any address. Sums of bytes are in a form that compilers vectorize.
inline std::size_t count_bits(const std::uint8_t* words, std::size_t count) {
  constexpr std::size_t most_sums = 255 / 8;
  std::size_t ones = 0;
  for (std::size_t first = 0; first < count; first += most_sums) {
    std::uint64_t sums = 0;
    for (std::size_t i = first; i < std::min(first + most_sums, count); ++i) {
      std::uint64_t word;
      std::memcpy(&word, words + 8 * i, 8);
      sums += count_bits_of_bytes(word);
    }
    const std::uint64_t pairs = (sums & 0x00ff00ff00ff00ffu) + ((sums >> 8) & 0x00ff00ff00ff00ffu);
    ones += static_cast<std::size_t>(pairs * 0x0001000100010001u >> 48);
  }
  return ones;
}

template <class Visit>
void for_each_bit(const std::uint64_t* words, std::size_t count, Visit&& visit) {
  for (std::size_t w = 0; w < count; ++w) {
    for (std::uint64_t word = words[w]; word != 0; word &= word - 1) {
      visit(64 * w + static_cast<std::size_t>(std::countr_zero(word)));
    }
  }
}

}  // namespace vtsearch
