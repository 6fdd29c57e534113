// Equal codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/windows.h"

namespace vtsearch {

// first[i] = the smallest item with the code of item i. Takes another 16 bytes an item while it runs.
void find_equal(CodeView codes, const Windows& windows, std::size_t threads, Cancellation& cancellation,
                std::int64_t* first);

}  // namespace vtsearch
