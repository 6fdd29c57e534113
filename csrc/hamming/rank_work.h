// A part of a ranking: a block of queries over one range of the database.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/hit_list.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Rows of `columns` results each, owned by the caller.
struct Results {
  std::int32_t* distances;
  std::int64_t* indices;
  std::size_t columns;

  Results from_row(std::size_t row) const { return {distances + row * columns, indices + row * columns, columns}; }
};

struct RankWork {
  const Kernels& kernels;
  Queries queries;
  CodeView database;
  Masks masks;  // of these queries
  Range range;
  std::size_t items;  // of the range, allowed by a mask for all queries
  std::size_t k;
  HitLists& hits;  // reused by all blocks of a thread
  CancellationPoint& cancellation_point;
};

}  // namespace vtsearch
