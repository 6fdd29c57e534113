// Average precision at k from histograms of distances, independent of the order of tied items.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {

enum class Ties { expected, best, worst };
enum class Normalizer { retrieved, relevant, min };

// The sum of precisions divided by the count that `normalizer` selects; 0 if that count is 0.
double normalized(double sum, Normalizer normalizer, std::size_t retrieved, std::size_t relevant, std::size_t k);

// `items` and `relevant` hold `bins` counts, one per distance; k is at least 1. Formulas: docs/metrics.md.
double average_precision(const std::int64_t* items, const std::int64_t* relevant, std::size_t bins, std::size_t k,
                         Ties ties, Normalizer normalizer);

}  // namespace vtsearch
