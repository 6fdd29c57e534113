#include "hamming/code_partition.h"

#include <vector>

#include "hamming/code_keys.h"
#include "hamming/substrings.h"

namespace vtsearch {

void partition_codes(CodeView codes, const std::uint8_t* mask, std::size_t partitions, Cancellation& cancellation,
                     std::int64_t* offsets, std::uint32_t* rows) {
  CancellationPoint cancellation_point(cancellation, 0);
  const auto for_each = [&](auto&& visit) {
    for (std::size_t i = 0; i < codes.count; ++i) {
      if (i % items_per_check == 0) cancellation_point();
      visit(i, partition_of_key(key_of(codes.code(i), mask, codes.width), partitions));
    }
  };
  for_each([&](std::size_t, std::size_t partition) { ++offsets[partition + 1]; });
  for (std::size_t p = 0; p < partitions; ++p) offsets[p + 1] += offsets[p];
  std::vector<std::int64_t> next(offsets, offsets + partitions);
  for_each([&](std::size_t i, std::size_t partition) { rows[next[partition]++] = static_cast<std::uint32_t>(i); });
}

}  // namespace vtsearch
