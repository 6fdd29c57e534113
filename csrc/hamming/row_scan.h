// Codes below a threshold, for one query at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming/aligned_array.h"
#include "hamming/width_kernels.h"
#include "simd/kernels.h"

namespace vtsearch {

class RowScan {
 public:
  // For up to `most_codes` codes of a padded width at a time.
  RowScan(const Kernels& kernels, std::size_t padded, std::size_t most_codes)
      : kernel_(kernels.scan[width_form(padded)]),
        padded_(padded),
        positions_(most_codes + items_per_group),
        distances_(most_codes + items_per_group) {}

  // Returns how many codes are below the threshold; their positions and distances replace those found before.
  std::size_t find(const std::uint8_t* query, const std::uint8_t* codes, std::size_t count, std::size_t threshold) {
    return kernel_(query, codes, count, padded_, threshold, positions_.data(), distances_.data());
  }

  std::size_t position(std::size_t i) const { return positions_.data()[i]; }
  std::uint16_t distance(std::size_t i) const { return distances_.data()[i]; }
  const std::uint16_t* distances() const { return distances_.data(); }

 private:
  ScanKernel kernel_;
  std::size_t padded_;
  AlignedArray<std::uint32_t> positions_;
  AlignedArray<std::uint16_t> distances_;
};

}  // namespace vtsearch
