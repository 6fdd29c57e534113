// Groups of near-duplicates: connected components of the graph whose edges are pairs within a radius.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/read_windows.h"
#include "simd/kernels.h"

namespace vtsearch {

// Sets representatives[i] to the smallest item in the group of item i.
void deduplicate(const Kernels& kernels, CodeView codes, std::size_t radius, const ReadWindows& windows,
                 std::size_t threads, Cancellation& cancellation, std::int64_t* representatives);

}  // namespace vtsearch
