// Values to bits: bit i is 1 if value i is above 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"
#include "simd/kernels.h"

namespace vtsearch {
namespace {

inline constexpr std::size_t values_per_word = 64;

// Whether a value is a number, and for bytes whether it is 0 or 1.
inline bool is_valid(float value) {
  return value == value;
}
inline bool is_valid(double value) {
  return value == value;
}
inline bool is_valid(Half value) {
  return (value.bits & 0x7fff) <= 0x7c00;
}
inline bool is_valid(std::uint8_t value) {
  return value <= 1;
}

inline bool is_positive(float value) {
  return value > 0;
}
inline bool is_positive(double value) {
  return value > 0;
}
inline bool is_positive(Half value) {
  return static_cast<std::int16_t>(value.bits) > 0;
}
inline bool is_positive(std::uint8_t value) {
  return value != 0;
}

// The bits of 64 values, the first one the lowest. Clears `valid` if a value is not. Two loops, which compilers
// vectorize.
template <class Value>
std::uint64_t bits_of(const Value* values, bool& valid) {
  alignas(64) std::uint8_t zero[values_per_word];
  for (std::size_t i = 0; i < values_per_word; ++i) zero[i] = static_cast<std::uint8_t>(!is_positive(values[i]));
  int invalid = 0;
  for (std::size_t i = 0; i < values_per_word; ++i) invalid |= !is_valid(values[i]);
  valid &= invalid == 0;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < values_per_word; i += sizeof(Vector))
    bits |= Vector::below(zero + i, std::uint8_t{1}) << i;
  return bits;
}

template <class Value>
bool pack_values(const Value* values, std::size_t count, std::size_t readable, bool big, std::uint8_t* out) {
  bool valid = true;
  const auto pack_word = [&](const Value* word, std::size_t number, std::uint8_t* place) {
    const std::uint64_t used = number < values_per_word ? (std::uint64_t{1} << number) - 1 : ~std::uint64_t{0};
    const std::uint64_t bits = bits_of(word, valid) & used;
    const std::uint64_t packed = big ? reversed_in_bytes(bits) : bits;
    std::memcpy(place, &packed, (number + 7) / 8);
  };
  std::size_t i = 0;
  for (; i + values_per_word <= count; i += values_per_word) pack_word(values + i, values_per_word, out + i / 8);
  if (i < count && i + values_per_word <= readable) {
    pack_word(values + i, count - i, out + i / 8);
  } else if (i < count) {
    Value rest[values_per_word] = {};
    std::memcpy(rest, values + i, (count - i) * sizeof(Value));
    pack_word(rest, count - i, out + i / 8);
  }
  return valid;
}

}  // namespace
}  // namespace vtsearch
