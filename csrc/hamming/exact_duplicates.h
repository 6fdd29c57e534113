// Equal codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/read_windows.h"

namespace vtsearch {

// first[i] = the smallest item with the code of item i. Takes another 16 bytes an item while it runs.
void find_exact_duplicates(CodeView codes, const ReadWindows& windows, std::size_t threads, Cancellation& cancellation,
                           std::int64_t* first);

}  // namespace vtsearch
