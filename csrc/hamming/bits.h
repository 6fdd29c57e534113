// Bitmaps: number i is bit i % 64 of word i / 64.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vtsearch {

inline constexpr std::size_t words_for(std::size_t numbers) {
  return (numbers + 63) / 64;
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
