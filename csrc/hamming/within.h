// All codes within a radius of each query, ordered by (distance, index), or their number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// The neighbors of query q are at offsets[q] .. offsets[q + 1] - 1.
struct Neighbors {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> distances;
  std::vector<std::int64_t> indices;
};

Neighbors within(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t radius, Masks masks,
                 std::size_t threads, Cancellation& cancellation);

// Adds to `counts`, of shape (queries,) and zero on entry.
void count_within(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t radius, Masks masks,
                  std::size_t threads, Cancellation& cancellation, std::int64_t* counts);

}  // namespace vtsearch
