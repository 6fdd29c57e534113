// The nearest item of each query below a limit, from tables of substrings where that takes less time than a scan.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// For each query the first item, in the order of (distance, index), at a distance below distances[q], which is 0 to
// 8 * width + 1: sets distances[q] and indices[q] to its own. Without such an item the distance stays, and the index is
// -1. With `may_scan` false tables are used however long it takes, if the codes have a bit for each.
void nearest_below(const Kernels& kernels, CodeView queries, CodeView database, bool may_scan, std::size_t threads,
                   Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices);

}  // namespace vtsearch
