// Diameters of groups: the largest distance between two of their codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codes.h"
#include "hamming/group_codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Sets out[g] to the diameter of group g. With a limit that takes less time: out[g] is then beyond it if the diameter
// is, and else not. Reports the work of as many items as there are.
void diameters(const Kernels& kernels, GroupReader& reader, const GroupView& groups, std::optional<std::size_t> limit,
               std::size_t threads, Cancellation& cancellation, std::int64_t* out);

}  // namespace vtsearch
