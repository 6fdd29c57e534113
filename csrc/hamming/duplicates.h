// Groups of near-duplicates: whoever a chain of items leads to, with steps within a radius.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/read_windows.h"
#include "simd/kernels.h"

namespace vtsearch {

// representatives[i] = the smallest item of the group of item i.
void deduplicate(const Kernels& kernels, CodeView codes, std::size_t radius, const ReadWindows& windows,
                 std::size_t threads, Cancellation& cancellation, std::int64_t* representatives);

}  // namespace vtsearch
