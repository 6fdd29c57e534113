// Groups of bounded diameter, inside groups of near-duplicates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "hamming/group_codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

// Splits groups whose diameter is beyond a limit. A new group starts at the first item that is in none, and grows: of
// the items of the old group that are within the radius of one of its items and within the limit of all of them, the
// one that is nearest to its first item joins, the first of several, until there is none.
//
// Sets representatives[i] to the first item of the group of groups.items[i]. Reports the work of twice as many items as
// there are.
void split_groups(const Kernels& kernels, GroupReader& reader, const GroupView& groups, std::size_t radius,
                  std::size_t limit, std::size_t threads, Cancellation& cancellation, std::int64_t* representatives);

}  // namespace vtsearch
