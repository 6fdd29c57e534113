// Items and relevant items at each distance.
#pragma once

#include <cstdint>

#include "hamming/parallel.h"
#include "hamming/relevance.h"
#include "simd/kernels.h"

namespace vtsearch {

// Fills `items` and `relevant`, both of shape (queries, bins) and zero on entry: the number of items, and of relevant
// items, at each distance of a query.
void relevance_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads,
                          Cancellation& cancellation, std::int64_t* items, std::int64_t* relevant);

}  // namespace vtsearch
