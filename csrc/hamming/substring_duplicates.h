// Near-duplicates by substrings: two codes within radius r agree in at least one of any r + 1 substrings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/substrings.h"
#include "hamming/union_find.h"
#include "simd/kernels.h"

namespace vtsearch {

// Largest number of codes: items are stored in 32 bits.
inline constexpr std::size_t max_substring_items = std::size_t{1} << 31;

// The partition of codes into one substring more than the radius, one table each.
class SubstringTables {
 public:
  // `items`: the codes to compare, distinct ones, in ascending order; at most max_substring_items.
  SubstringTables(CodeView codes, std::size_t radius, const std::vector<std::uint32_t>& items,
                  CancellationPoint& cancellation_point);

  // Whether comparing inside the buckets of all tables takes less time than comparing all pairs.
  bool pay() const { return pay_; }

  // Unites all pairs within the radius, table by table; after each, `report` is told the share that is done.
  void unite(const Kernels& kernels, UnionFind& groups, std::size_t threads, Cancellation& cancellation,
             const std::function<void(double)>& report) const;

 private:
  std::vector<std::uint32_t> bucket_ends(const Substring& part, CancellationPoint& cancellation_point) const;

  CodeView codes_;
  std::size_t radius_;
  const std::vector<std::uint32_t>& items_;
  std::vector<Substring> parts_;
  bool pay_ = false;
};

}  // namespace vtsearch
