// Average precision of the order by (distance, index), in which each item has one rank.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming/average_precision.h"
#include "hamming/parallel.h"
#include "hamming/relevance.h"
#include "simd/kernels.h"

namespace vtsearch {

// Fills `scores`, of shape (queries,): average precision at k with ties broken by index. `items` and `relevant` are the
// histograms of the same data.
void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, const std::int64_t* items,
                                const std::int64_t* relevant, std::size_t k, Normalizer normalizer, std::size_t threads,
                                Cancellation& cancellation, double* scores);

}  // namespace vtsearch
