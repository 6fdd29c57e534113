// Distance histograms: the number of codes at each distance of a query.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Adds to `out`, of shape (queries.count, queries.bins()) and zero on entry.
void histogram(const Kernels& kernels, const Queries& queries, CodeView database, Masks masks, std::size_t threads,
               Cancellation& cancellation, std::int64_t* out);

}  // namespace vtsearch
