// Codes sorted into partitions by a hash of some of their bits.
#pragma once

#include <cstdint>

#include "codes.h"
#include "hamming/parallel.h"

namespace vtsearch {

// Sets rows[offsets[p]] .. rows[offsets[p + 1] - 1] to the codes of partition p, in ascending order. Codes that agree
// in the bits of the mask are in one partition. At most 2^32 codes and partitions; `offsets`: partitions + 1 zeros.
void partition_codes(CodeView codes, const std::uint8_t* mask, std::size_t partitions, Cancellation& cancellation,
                     std::int64_t* offsets, std::uint32_t* rows);

}  // namespace vtsearch
