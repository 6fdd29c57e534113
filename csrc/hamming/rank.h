// The k nearest codes of each query, by (distance, index).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// The number of results per query: min(k, items allowed by a mask for all queries).
std::size_t rank_columns(CodeView database, std::size_t k, Masks masks);

// Fills `distances` and `indices`, both of shape (queries.count, columns) with columns = rank_columns(...). The row of
// a query whose own mask allows fewer items ends with distances of `queries.beyond()`.
void rank(const Kernels& kernels, const Queries& queries, CodeView database, std::size_t columns, Masks masks,
          std::size_t threads, Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices);

}  // namespace vtsearch
