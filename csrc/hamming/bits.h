// Bitmaps: number i is bit i % 64 of word i / 64.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vtsearch {

inline constexpr std::size_t words_for(std::size_t numbers) {
  return (numbers + 63) / 64;
}

// The number of ones, also where the compiler may not assume an instruction for it.
inline std::size_t count_bits(std::uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555u;
  word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return static_cast<std::size_t>(word * 0x0101010101010101u >> 56);
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
