// The kernel table of an instruction set. Its file defines `struct Vector` and then includes this file.
#pragma once

#include "simd/bit_sliced.inl"
#include "simd/pack.inl"
#include "simd/rows.inl"
#include "simd/weighted.inl"

namespace vtsearch {
namespace {

constexpr Kernels table_of(const char* name) {
  return {name,
          {distances<2, u8>, distances<4, u8>, distances<8, u8>, distances<16, u8>},
          distances<32, u16>,
          word_distances,
          {scan_rows<2, u8>, scan_rows<4, u8>, scan_rows<8, u8>, scan_rows<16, u8>, scan_rows<32, u16>, scan_words},
          count_bytes,
          count_shorts,
          bit_sliced_kernels(),
          weighted_kernels(),
          {pack_values<float>, pack_values<double>, pack_values<Half>, pack_values<std::uint8_t>}};
}

}  // namespace
}  // namespace vtsearch
