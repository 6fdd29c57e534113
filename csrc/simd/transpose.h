// Transpositions: as byte orders for shuffle instructions, and in portable arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler.h"

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

// 64 planes of 512 bits.
using Planes = std::uint8_t (*)[64];

// Interleaves the bytes of vectors i and Count / 2 + i. In each lane of 16 bytes the highest bit of the number of a
// vector becomes the lowest bit of the number of a byte, and the highest one of a byte the lowest one of a vector.
template <class Vector, std::size_t Count>
VTSEARCH_ALWAYS_INLINE void interleave(Vector (&v)[Count]) {
  Vector all[Count];
  for (std::size_t i = 0; i < Count / 2; ++i) {
    all[2 * i] = Vector::zip_low(v[i], v[Count / 2 + i]);
    all[2 * i + 1] = Vector::zip_high(v[i], v[Count / 2 + i]);
  }
  for (std::size_t i = 0; i < Count; ++i) v[i] = all[i];
}

// Swaps the bits of `low` under `mask << shift` with those of `high` under `mask`.
template <int shift, class Vector>
VTSEARCH_ALWAYS_INLINE void swap_bits(Vector& low, Vector& high, Vector mask) {
  const Vector change = (Vector::template shift_right<shift>(low) ^ high) & mask;
  high = high ^ change;
  low = low ^ Vector::template shift_left<shift>(change);
}

// Bit j of each byte of vector i moves to bit i of this byte of vector j.
template <class Vector>
VTSEARCH_ALWAYS_INLINE void transpose_bits(Vector (&v)[8]) {
  constexpr std::uint64_t masks[3] = {0x0f0f0f0f0f0f0f0fu, 0x3333333333333333u, 0x5555555555555555u};
  for (int i = 0; i < 4; ++i) swap_bits<4>(v[i], v[i + 4], Vector::broadcast(masks));
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) swap_bits<2>(v[i + j], v[i + j + 2], Vector::broadcast(masks + 1));
  }
  for (int i = 0; i < 8; i += 2) swap_bits<1>(v[i], v[i + 1], Vector::broadcast(masks + 2));
}

// Transposes 512 codes of `Bytes` = 2, 4 or 8 bytes, `stride` apart: bit i of plane p becomes bit p of code i.
//
// Code 128 l + 8 r + i ends as bit i of byte r of lane l. Lanes of 16 bytes are loaded with 16 / Bytes codes each. As
// many interleavings as it takes move the codes of a group of eight to eight vectors, where their bits are transposed;
// the others move the bytes of a code to vectors of their own.
template <std::size_t Bytes, bool Dense, class Vector>
inline void bit_slice_lanes(const std::uint8_t* codes, std::size_t stride, Planes planes) {
  constexpr std::size_t lanes = sizeof(Vector) / 16, loaded = 16 / Bytes, loads = 8 / loaded;
  const std::size_t step = Dense ? Bytes : stride;
  for (std::size_t first = 0; first < 512; first += 128 * lanes) {
    Vector part[8][Bytes];
    for (std::size_t group = 0; group < Bytes; ++group) {
      Vector v[8];
      for (std::size_t i = 0; i < 8; ++i) {
        const std::size_t code = first + i / loads * 8 * Bytes + 8 * group + i % loads * loaded;
        v[i] = Dense ? Vector::load_lanes(codes + code * step, 128 * step)
                     : Vector::load_words(codes + code * step, step, 128 * step);
      }
      for (std::size_t n = 1; n < loaded; n *= 2) interleave(v);
      transpose_bits(v);
      for (std::size_t j = 0; j < 8; ++j) part[j][group] = v[j];
    }
    for (std::size_t j = 0; j < 8; ++j) {
      Vector v[Bytes];
      for (std::size_t group = 0; group < Bytes; ++group) v[group] = part[j][group];
      for (std::size_t n = 1; n < Bytes; n *= 2) interleave(v);
      for (std::size_t byte = 0; byte < Bytes; ++byte) Vector::store(planes[8 * byte + j] + first / 8, v[byte]);
    }
  }
}

template <std::size_t Bytes, class Vector>
inline void bit_slice_in_lanes(const std::uint8_t* codes, std::size_t stride, Planes planes) {
  if (stride == Bytes) return bit_slice_lanes<Bytes, true, Vector>(codes, stride, planes);
  if constexpr (Bytes == 8) bit_slice_lanes<Bytes, false, Vector>(codes, stride, planes);
}

}  // namespace
}  // namespace vtsearch
