// Exact search by substring tables: rank() and within() with the same results, from a small part of the codes.
//
// Steps of growing radius: step r looks up, in table r % m, the keys that differ from the query's in r / m bits. After
// steps 0 .. r every item within radius r has been seen, whatever the m of its part (Norouzi, Punjani and Fleet, CVPR
// 2012). A query for which a scan takes less time is left to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/substrings.h"
#include "hamming/within.h"
#include "simd/kernels.h"

namespace vtsearch {

// Largest number of items: they are numbered by 32 bits.
inline constexpr std::size_t max_multi_index_items = range_limit;

// Tables of consecutive items: number i of a table is item first + i of the database. Tables that are mapped from a
// file are not read before they are searched: numbers out of range in them lead to answers that are wrong, and nowhere
// else. Without copies of the codes, items must be in range.
struct TabledItems {
  std::size_t first;
  std::size_t count;
  std::vector<SubstringTable> tables;
};

// A database in one or several parts, each with tables of its own, of any number.
struct MultiIndexView {
  std::size_t items;  // of all parts
  std::size_t width;
  std::vector<TabledItems> parts;
  const std::uint8_t* codes;  // of all items of the only part; null if the tables have copies of them
};

// What became of a query.
struct TableSearch {
  std::int64_t finished;    // 1, or 0 if it is left to a scan: it has no results then
  std::int64_t keys;        // that were looked up
  std::int64_t candidates;  // codes that were compared
  std::int64_t radius;      // within which all items have been seen; -1 for none
};

// Rows of k results for the queries that are finished; k is at most the number of items that the mask allows. `work`
// has one element for each query; returns how many are not finished. With `may_scan` false all are, unless k is 0,
// however long it takes.
std::size_t rank_by_tables(const Kernels& kernels, CodeView queries, const MultiIndexView& index, std::size_t k,
                           MaskView mask, bool may_scan, std::size_t threads, Cancellation& cancellation,
                           std::int32_t* distances, std::int64_t* indices, TableSearch* work);

// The same for all items within a radius; queries that are not finished have empty lists.
std::size_t within_by_tables(const Kernels& kernels, CodeView queries, const MultiIndexView& index, std::size_t radius,
                             MaskView mask, bool may_scan, std::size_t threads, Cancellation& cancellation,
                             Neighbors& neighbors, TableSearch* work);

}  // namespace vtsearch
