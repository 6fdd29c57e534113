// What the items at each distance are worth to a query: the gains of metrics with graded relevance.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming/parallel.h"
#include "hamming/relevance.h"
#include "simd/kernels.h"

namespace vtsearch {

// Sums over items of what they are worth to a query with which they share g classes; all zero on entry.
struct Gains {
  std::size_t most;     // at least the largest g
  double* linear;       // (queries, bins): g of the items at each distance
  double* exponential;  // (queries, bins): 2^g - 1
  std::int64_t* items;  // (queries, most + 1): how many items share 0, 1, 2, ... classes
};

void gain_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads, Cancellation& cancellation,
                     Gains gains);

}  // namespace vtsearch
