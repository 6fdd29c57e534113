// The full distance matrix.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Fills `out`, of shape (queries.count, database.count).
void distances(const Kernels& kernels, CodeView queries, CodeView database, std::size_t threads,
               Cancellation& cancellation, std::int32_t* out);

}  // namespace vtsearch
