// The full distance matrix.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Fills queries.count rows of database.count distances each, which begin `stride` elements apart. `Number` is
// std::uint8_t if no distance is above 255, std::uint16_t or std::int32_t.
template <class Number>
void distances(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t threads,
               Cancellation& cancellation, Number* out, std::size_t stride);

}  // namespace vtsearch
