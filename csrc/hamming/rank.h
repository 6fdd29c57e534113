// The k nearest codes of each query, by (distance, index).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// The number of results per query: min(k, items allowed by the mask).
std::size_t rank_columns(CodeView database, std::size_t k, MaskView mask);

// Fills `distances` and `indices`, both of shape (queries.count, columns) with columns = rank_columns(...).
void rank(const Kernels& kernels, CodeView queries, CodeView database, std::size_t columns, MaskView mask,
          std::size_t threads, Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices);

}  // namespace vtsearch
