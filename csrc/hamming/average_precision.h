// Average precision at k from histograms of distances, independent of the order of tied items.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {

enum class Ties { expected, best, worst };
enum class Normalizer { retrieved, relevant, min };

// `items` and `relevant` hold `bins` counts, one per distance; k is at least 1. Formulas: docs/metrics.md.
double average_precision(const std::int64_t* items, const std::int64_t* relevant, std::size_t bins, std::size_t k,
                         Ties ties, Normalizer normalizer);

// Weighted average precision at k: with the mean gain of the items so far at each relevant item in place of precision,
// over all orders of tied items, divided by the relevant items retrieved. `gains` holds the sum of gains per distance.
double weighted_average_precision(const std::int64_t* items, const std::int64_t* relevant, const double* gains,
                                  std::size_t bins, std::size_t k);

}  // namespace vtsearch
