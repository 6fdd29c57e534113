// How many codes lie at each distance of a query.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Fills `out`, (queries.count, database.bins()), which holds zeros on entry.
void histogram(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, std::size_t threads,
               Cancellation& cancellation, std::int64_t* out);

}  // namespace vtsearch
