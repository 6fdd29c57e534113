// Codes of features: bit i of a code is 1 if feature i is above 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Writes the codes of `count` rows of `bits` values, ceil(bits / 8) bytes each; with `big`, bit 0 is the highest of a
// byte. Returns false if a value is NaN, or a byte neither 0 nor 1.
template <class Value>
bool pack(PackKernel<Value> kernel, const Value* values, std::size_t count, std::size_t bits, bool big,
          Cancellation& cancellation, std::uint8_t* codes) {
  constexpr std::size_t values_per_check = std::size_t{1} << 20;
  const bool is_whole = bits % 8 == 0;  // codes follow each other without gaps, as values do
  const std::size_t step = is_whole ? values_per_check / bits / 8 * 8 + 8 : 1;
  bool valid = true;
  for (std::size_t i = 0; i < count; i += step) {
    if (is_whole || i % values_per_check == 0) cancellation.check(true);
    const std::size_t rows = count - i < step ? count - i : step;
    valid &= kernel(values + i * bits, rows * bits, (count - i) * bits, big, codes + i * ((bits + 7) / 8));
  }
  return valid;
}

}  // namespace vtsearch
