// Blocks of bits by which near codes are found.
//
// Bits in which two codes within radius r differ lie in at most r blocks. Of m blocks they share m - r, so that they
// agree in one of all sets of m - r blocks: more blocks are more sets, whose keys are longer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"

namespace vtsearch {

// The bits of a block, or of several, as a code that has ones there.
using Mask = std::vector<std::uint8_t>;

struct BlockPlan {
  std::vector<Mask> blocks;  // every bit is in one
  std::size_t chosen;        // blocks of a set
  double time;               // in units of a comparison of a pair in a scan

  // The sets, those with the first block before those without.
  std::vector<Mask> sets() const;
};

// The plan of least time for `count` codes of which these are a sample. Bits that tell codes apart are dealt to all
// blocks alike. Codes have more bits than the radius.
BlockPlan plan_blocks(CodeView sample, std::size_t count, std::size_t radius, CancellationPoint& cancellation_point);

}  // namespace vtsearch
