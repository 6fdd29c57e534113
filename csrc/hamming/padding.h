// Codes padded with zeros to a width that has kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codes.h"
#include "simd/kernels.h"

namespace vtsearch {

// The width in bytes to which codes of `width` bytes are padded.
inline std::size_t padded_width(std::size_t width) {
  for (std::size_t narrow : narrow_widths) {
    if (width <= narrow) return narrow;
  }
  return width <= wide_width ? wide_width : (width + word_width - 1) / word_width * word_width;
}

// Appends a code of `width` bytes at its padded width.
inline void append_padded(const std::uint8_t* code, std::size_t width, std::vector<std::uint8_t>& codes) {
  codes.insert(codes.end(), code, code + width);
  codes.resize(codes.size() + padded_width(width) - width);
}

// A copy of the codes at their padded width.
inline std::vector<std::uint8_t> padded_codes(CodeView codes) {
  const std::size_t width = padded_width(codes.width);
  std::vector<std::uint8_t> padded(codes.count * width);
  for (std::size_t i = 0; i < codes.count; ++i) std::memcpy(padded.data() + i * width, codes.code(i), codes.width);
  return padded;
}

}  // namespace vtsearch
