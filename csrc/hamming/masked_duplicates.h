// Near codes among those that agree in some of their bits.
#pragma once

#include <vector>

#include "codes.h"
#include "hamming/block_plan.h"
#include "hamming/parallel.h"
#include "hamming/union_find.h"
#include "simd/kernels.h"

namespace vtsearch {

// Unites all pairs within the radius that agree in the bits of at least one of the masks, and perhaps others within it.
// At most max_substring_items codes. Where many codes agree, they are told apart by further blocks.
void unite_agreeing(const Kernels& kernels, CodeView codes, const std::vector<Mask>& masks, std::size_t radius,
                    UnionFind& groups, std::size_t threads, Cancellation& cancellation);

}  // namespace vtsearch
