// Unites near codes of a bucket: of all pairs, those within a radius.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "codes.h"
#include "hamming/near_pairs.h"
#include "hamming/row_scan.h"
#include "hamming/union_find.h"
#include "simd/kernels.h"

namespace vtsearch {

// Buckets up to this size are compared code by code, larger ones in blocks of queries.
inline constexpr std::size_t small_bucket = 2048;

// Items of the buckets of a task, approximately.
inline constexpr std::size_t items_per_task = 16384;

// Times in units of a comparison of a pair in a scan of the whole database.
inline constexpr double pair_in_small_bucket = 3.0;
inline constexpr double pair_in_large_bucket = 2.5;
inline constexpr double item_of_table = 1000.0;

inline double time_of_bucket(std::size_t size) {
  const double pairs = static_cast<double>(size) * static_cast<double>(size) / 2;
  return pairs * (size <= small_bucket ? pair_in_small_bucket : pair_in_large_bucket);
}

// Items, and their codes, padded.
struct ItemCodes {
  const std::uint32_t* items;
  const std::uint8_t* codes;
};

// The items of a large bucket, with those that belong together already next to each other: they need not be compared.
struct Members {
  std::vector<std::uint8_t> codes;  // padded
  std::vector<std::uint32_t> items;
  std::vector<std::uint32_t> ends;  // of the group of each
};

inline Members by_group(ItemCodes table, Range bucket, std::size_t padded, UnionFind& groups) {
  std::vector<std::pair<std::int64_t, std::uint32_t>> order;
  order.reserve(bucket.count());
  for (std::size_t i = bucket.begin; i < bucket.end; ++i) {
    order.emplace_back(groups.find(table.items[i]), static_cast<std::uint32_t>(i));
  }
  std::sort(order.begin(), order.end());
  Members members;
  members.codes.reserve(order.size() * padded);
  members.items.reserve(order.size());
  members.ends.resize(order.size());
  for (const auto& [group, i] : order) {
    const std::uint8_t* code = table.codes + i * padded;
    members.codes.insert(members.codes.end(), code, code + padded);
    members.items.push_back(table.items[i]);
  }
  for (std::size_t i = order.size(), end = i; i-- > 0;) {
    if (i + 1 < order.size() && order[i].first != order[i + 1].first) end = i + 1;
    members.ends[i] = static_cast<std::uint32_t>(end);
  }
  return members;
}

// Unites the pairs of a bucket that are within the radius.
class BucketUniter {
 public:
  BucketUniter(const Kernels& kernels, std::size_t padded, std::size_t radius, UnionFind& groups)
      : kernels_(kernels), padded_(padded), radius_(radius), groups_(groups), rows_(kernels, padded, small_bucket) {}

  void unite(ItemCodes table, Range bucket, CancellationPoint& cancellation_point) {
    if (bucket.count() <= small_bucket) return unite_small(table, bucket);
    const Members members = by_group(table, bucket, padded_, groups_);
    for (std::size_t first = 0; first < bucket.count(); first += queries_per_block) {
      unite_block(members, first, cancellation_point);
    }
  }

  // Compares a block of members with all behind the group of its first one.
  void unite_block(const Members& members, std::size_t first, CancellationPoint& cancellation_point) {
    const CodeView all{members.codes.data(), members.items.size(), padded_};
    const CodeView queries = all.part({first, std::min(first + queries_per_block, all.count)});
    const Range others{members.ends[first], all.count};
    if (others.count() == 0) return;
    for_each_near_pair(
        kernels_, queries, all, {}, others, radius_, cancellation_point,
        [&](std::size_t q, std::size_t other) { groups_.unite(members.items[first + q], members.items[other]); });
  }

 private:
  void unite_small(ItemCodes table, Range bucket) {
    for (std::size_t i = bucket.begin; i + 1 < bucket.end; ++i) {
      const std::uint8_t* code = table.codes + i * padded_;
      const std::size_t found = rows_.find(code, code + padded_, bucket.end - i - 1, radius_ + 1);
      for (std::size_t j = 0; j < found; ++j) groups_.unite(table.items[i], table.items[i + 1 + rows_.position(j)]);
    }
  }

  const Kernels& kernels_;
  std::size_t padded_;
  std::size_t radius_;
  UnionFind& groups_;
  RowScan rows_;
};

}  // namespace vtsearch
