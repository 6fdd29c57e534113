// Average precision at k from histograms by distance, whatever the order of tied items.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {

enum class Ties { expected, best, worst };
enum class Normalizer { retrieved, relevant, min };

// The sum of precisions divided by what the normalizer names; 0 where that is 0.
double normalized(double sum, Normalizer normalizer, std::size_t retrieved, std::size_t relevant, std::size_t k);

// `items` and `relevant` hold `bins` counts by distance; k at least 1. Formulas: docs/metrics.md.
double average_precision(const std::int64_t* items, const std::int64_t* relevant, std::size_t bins, std::size_t k,
                         Ties ties, Normalizer normalizer);

}  // namespace vtsearch
