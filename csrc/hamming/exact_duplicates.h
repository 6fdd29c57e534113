// Groups of equal codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/read_windows.h"

namespace vtsearch {

// Sets first[i] to the smallest item with the code of item i. Allocates 16 bytes per item.
void find_exact_duplicates(CodeView codes, const ReadWindows& windows, std::size_t threads, Cancellation& cancellation,
                           std::int64_t* first);

}  // namespace vtsearch
