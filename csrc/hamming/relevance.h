// Distances joined with relevance: an item is relevant to a query if they share a class.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/average_precision.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

struct LabelledQueries {
  Queries codes;
  LabelView labels;
};

// Both sides of a retrieval problem; classes are 0 .. classes - 1.
struct LabelledCodes {
  LabelledQueries queries;
  Labelled database;
  std::size_t classes;
  Masks masks{};  // masked items are not counted and have no rank
};

// Fills `items` and `relevant`, both of shape (queries, bins) and zero on entry: the number of items, and of relevant
// items, at each distance of a query.
void relevance_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads,
                          Cancellation& cancellation, std::int64_t* items, std::int64_t* relevant);

// Sums over items of what they are worth to a query with which they share g classes; all zero on entry.
struct Gains {
  std::size_t most;     // at least the largest g
  double* linear;       // (queries, bins): g of the items at each distance
  double* exponential;  // (queries, bins): 2^g - 1
  std::int64_t* items;  // (queries, most + 1): how many items share 0, 1, 2, ... classes
};

void gain_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads, Cancellation& cancellation,
                     Gains gains);

// Fills `scores`, of shape (queries,): average precision at k with ties broken by index. `items` and `relevant` are the
// histograms of the same data.
void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, const std::int64_t* items,
                                const std::int64_t* relevant, std::size_t k, Normalizer normalizer, std::size_t threads,
                                Cancellation& cancellation, double* scores);

}  // namespace vtsearch
