// The row kernels for codes of one width.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "hamming/padding.h"
#include "simd/kernels.h"

namespace vtsearch {

// The position of a padded width in tables of kernels: narrow_widths, then wide_width, then all others.
inline std::size_t width_form(std::size_t padded) {
  const auto* narrow = std::find(std::begin(narrow_widths), std::end(narrow_widths), padded);
  const auto form = static_cast<std::size_t>(narrow - std::begin(narrow_widths));
  return form + (narrow == std::end(narrow_widths) && padded != wide_width);
}

// The kernels for codes of one padded width, with distances as bytes or as 16-bit integers.
template <class Distance>
struct WidthKernels {
  DistancesKernel<Distance> distances;
  CountKernel<Distance> count;
};

template <class Distance>
WidthKernels<Distance> kernels_for(const Kernels& kernels, std::size_t padded) {
  if constexpr (std::is_same_v<Distance, std::uint8_t>) {
    return {kernels.narrow[width_form(padded)], kernels.count_bytes};
  } else {
    return {padded == wide_width ? kernels.wide : kernels.words, kernels.count_shorts};
  }
}

// Whether distances of codes of this width are stored as bytes.
inline bool has_byte_distances(std::size_t width) {
  return padded_width(width) <= narrow_widths[3];
}

// Calls function(Distance{}) with the type in which distances of codes of this width are stored.
template <class Function>
void with_distance_type(std::size_t width, Function&& function) {
  if (has_byte_distances(width)) {
    function(std::uint8_t{});
  } else {
    function(std::uint16_t{});
  }
}

}  // namespace vtsearch
