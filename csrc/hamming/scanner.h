// Items below a threshold per query, tile by tile: from rows for a few queries, from bit-sliced blocks for many, and
// from arranged codes for queries with weights.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "codes.h"
#include "compiler.h"
#include "hamming/aligned_array.h"
#include "hamming/bit_sliced_blocks.h"
#include "hamming/bits.h"
#include "hamming/hit_list.h"
#include "hamming/padding.h"
#include "hamming/tile_reader.h"
#include "hamming/weighted_queries.h"
#include "hamming/width_kernels.h"
#include "simd/kernels.h"

namespace vtsearch {

class RowScanner {
 public:
  RowScanner(const Kernels& kernels, const Queries& queries, Masks masks, std::size_t begin)
      : RowScanner(kernels.scan[width_form(padded_width(queries.width))], padded_codes(queries), queries, masks, begin,
                   queries.count == 1 ? items_per_streamed_tile(padded_width(queries.width))
                                      : vtsearch::items_per_tile(padded_width(queries.width))) {}

  // For a kernel that takes queries in another form than codes: equally many bytes of `forms` each.
  RowScanner(ScanKernel kernel, std::vector<std::uint8_t> forms, const Queries& queries, Masks masks, std::size_t begin,
             std::size_t tile_items)
      : padded_(padded_width(queries.width)),
        scan_(kernel),
        forms_(std::move(forms)),
        form_bytes_(queries.count == 0 ? 0 : forms_.size() / queries.count),
        thresholds_(queries.count, queries.bins()),
        masks_(masks),
        begin_(begin),
        items_per_tile_(tile_items),
        positions_(items_per_tile_ + items_per_group),
        distances_(items_per_tile_ + items_per_group) {}

  std::size_t items_per_tile() const { return items_per_tile_; }
  void set_threshold(std::size_t q, std::size_t threshold) { thresholds_[q] = threshold; }

  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    count(tile, [&](std::size_t q, std::size_t found) {
      if (found == 0) return;
      lists[q].make_room(found);
      std::uint32_t* items = lists[q].items_end();
      for (std::size_t i = 0; i < found; ++i) items[i] = tile.item(positions_.data()[i]);
      std::copy_n(distances_.data(), found, lists[q].distances_end());
      lists[q].grow(found);
      visit(q, found);
    });
  }

  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    for (std::size_t q = 0; q < thresholds_.size(); ++q) {
      const std::size_t found = scan_(forms_.data() + q * form_bytes_, tile.codes, tile.count, padded_, thresholds_[q],
                                      positions_.data(), distances_.data());
      visit(q, kept(tile, q, found));
    }
  }

 private:
  // Removes those of the first `count` hits that the query may not find; returns how many remain.
  std::size_t kept(const Tile& tile, std::size_t q, std::size_t count) {
    if (masks_.first.data == nullptr || tile.items != nullptr) return count;
    return keep_allowed(masks_.of(q), begin_ + tile.first, count);
  }

  VTSEARCH_NOINLINE std::size_t keep_allowed(MaskView mask, std::size_t first, std::size_t count) {
    std::uint32_t* positions = positions_.data();
    std::uint16_t* distances = distances_.data();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t position = positions[i];
      positions[kept] = position;
      distances[kept] = distances[i];
      kept += mask.allows(first + position);
    }
    return kept;
  }

  std::size_t padded_;
  ScanKernel scan_;
  std::vector<std::uint8_t> forms_;  // the queries
  std::size_t form_bytes_;
  std::vector<std::size_t> thresholds_;
  Masks masks_;
  std::size_t begin_;
  std::size_t items_per_tile_;
  AlignedArray<std::uint32_t> positions_;
  AlignedArray<std::uint16_t> distances_;
};

class BitSlicedScanner {
 public:
  BitSlicedScanner(const Kernels& kernels, CodeView queries, Masks masks, std::size_t begin)
      : kernels_(kernels, queries.width),
        queries_(queries),
        padded_(padded_width(queries.width)),
        codes_(padded_codes(queries)),
        masks_(masks),
        begin_(begin),
        block_(queries.width),
        found_(max_blocks * queries.count),
        any_(queries.count) {}

  std::size_t items_per_tile() const { return vtsearch::items_per_tile(padded_); }
  void set_threshold(std::size_t q, std::size_t threshold) { queries_.set_threshold(q, threshold); }

  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    find(tile);
    for (std::size_t q = 0; q < any_.size(); ++q) {
      if (any_[q] != 0) visit(q, append(tile, q, lists[q]));
    }
  }

  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    find(tile);
    for (std::size_t q = 0; q < any_.size(); ++q) {
      if (any_[q] != 0) visit(q, kernels_.found(found(q)));
    }
  }

 private:
  // Computes bitmaps of the items of the tile below each query's threshold.
  void find(const Tile& tile) {
    std::fill(any_.begin(), any_.end(), std::uint8_t{0});
    for (std::size_t block = 0; block * block_items < tile.count; ++block) {
      block_.set(kernels_, tile, block * block_items);
      kernels_.scan(block_.rows(), queries_.view(), block_.items(), block, found_.data() + block * any_.size(),
                    any_.data());
    }
    if (masks_.by_query()) keep_allowed(tile);
  }

  // Removes the items that a query may not find. Its mask is read only for blocks in which it has found some; memory
  // has to send most of these lines, so they are prefetched while those of queries before it are in use.
  void keep_allowed(const Tile& tile) {
    constexpr std::size_t ahead = 8;
    const std::size_t queries = any_.size();
    for (std::size_t q = 0; q < std::min(ahead, queries); ++q) prefetch_mask(tile, q);
    for (std::size_t q = 0; q < queries; ++q) {
      if (q + ahead < queries) prefetch_mask(tile, q + ahead);
      for_each_found(q, [&](std::size_t block) {
        if (!intersect(tile, q, block)) any_[q] = static_cast<std::uint8_t>(any_[q] ^ (1u << block));
      });
    }
  }

  void prefetch_mask(const Tile& tile, std::size_t q) const {
    const std::uint8_t* mask = masks_.of(q).data + (begin_ + tile.first) / 8;
    for_each_found(q, [&](std::size_t block) { prefetch(mask + block * row_bytes); });
  }

  // Calls visit(block) for the blocks in which a query has found items.
  template <class Visit>
  void for_each_found(std::size_t q, Visit&& visit) const {
    for (unsigned blocks = any_[q]; blocks != 0; blocks &= blocks - 1) {
      visit(static_cast<std::size_t>(std::countr_zero(blocks)));
    }
  }

  // Removes from the items of a block those that the mask of the query does not allow; returns whether some remain.
  bool intersect(const Tile& tile, std::size_t q, std::size_t block) {
    const std::size_t position = block * block_items, first = begin_ + tile.first + position;
    const std::size_t count = std::min(block_items, tile.count - position);
    BlockItems allowed;
    masks_.of(q).write_words(first, first + count, allowed.word);
    std::uint64_t* words = found_.data()[block * any_.size() + q].word;
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < words_for(count); ++w) any |= words[w] &= allowed.word[w];
    return any != 0;
  }

  TileItems found(std::size_t q) const { return {found_.data() + q, any_.size(), any_[q]}; }

  std::size_t append(const Tile& tile, std::size_t q, HitList& list) const {
    const std::size_t count = kernels_.found(found(q));
    list.make_room(count + items_per_group);
    std::uint32_t* items = list.items_end();
    kernels_.expand(found(q), tile.items == nullptr ? tile.first : 0, tile.codes, codes_.data() + q * padded_, padded_,
                    items, list.distances_end());
    if (tile.items != nullptr) {
      for (std::size_t i = 0; i < count; ++i) items[i] = tile.items[items[i]];
    }
    list.grow(count);
    return count;
  }

  BitSlicedWidthKernels kernels_;
  BitSlicedQuerySet queries_;
  std::size_t padded_;
  std::vector<std::uint8_t> codes_;  // the queries
  Masks masks_;
  std::size_t begin_;
  BitSlicedBlock block_;
  std::vector<BlockItems> found_;  // (blocks, queries)
  std::vector<std::uint8_t> any_;
};

// Arranges the codes of a tile once, and then compares weighted distances.
class WeightedScanner {
 public:
  WeightedScanner(const Kernels& kernels, const Queries& queries, Masks masks, std::size_t begin)
      : padded_(padded_width(queries.width)),
        arranger_(kernels, padded_, items_per_tile()),
        rows_(kernels.weighted.scan[width_form(padded_)], weighted_tables(queries), queries, masks, begin,
              items_per_tile()) {}

  // Arranged codes should fit the first-level cache too.
  std::size_t items_per_tile() const { return vtsearch::items_per_tile(fours_per_byte * padded_); }
  void set_threshold(std::size_t q, std::size_t threshold) { rows_.set_threshold(q, threshold); }

  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    rows_.scan(arranger_(tile), lists, visit);
  }

  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    rows_.count(arranger_(tile), visit);
  }

 private:
  std::size_t padded_;
  TileArranger arranger_;
  RowScanner rows_;
};

// The time to gather a code, often one that memory has to send, in scans of a code by one query.
inline constexpr std::size_t scans_per_gathered = 80;
inline constexpr std::size_t weighted_scans_per_gathered = 16;

class Scanner {
 public:
  // For about so many items of a range that begins at `begin`: a multiple of 64, if each query has its own mask.
  Scanner(const Kernels& kernels, const Queries& queries, std::size_t items, Masks masks, std::size_t begin)
      : queries_(queries.count), form_(make(kernels, queries, items, masks, begin)) {}

  // The tile length with the best speed.
  std::size_t items_per_tile() const {
    return std::visit([](const auto& form) { return form.items_per_tile(); }, form_);
  }

  void set_threshold(std::size_t q, std::size_t threshold) {
    std::visit([&](auto& form) { form.set_threshold(q, threshold); }, form_);
  }

  // The tiles of a range of which a mask allows `allowed` items, in the form that suits this scanner.
  TileReader tiles(CodeView database, MaskView mask, Range range, std::size_t allowed) const {
    const Masked scanned = std::holds_alternative<BitSlicedScanner>(form_) ? Masked::marked : Masked::whole;
    return {database, mask, range, items_per_tile(), gathers(range.count(), allowed) ? Masked::gathered : scanned};
  }

  // Appends the items of the tile below each query's threshold, in order, and calls visit(query, count) if there are
  // any. visit may lower the threshold of that query.
  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    std::visit([&](auto& form) { form.scan(tile, lists, visit); }, form_);
  }

  // Calls visit(query, count of items of the tile below its threshold) for each query with a nonzero count.
  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    std::visit([&](auto& form) { form.count(tile, visit); }, form_);
  }

 private:
  using Form = std::variant<RowScanner, BitSlicedScanner, WeightedScanner>;

  static Form make(const Kernels& kernels, const Queries& queries, std::size_t items, Masks masks, std::size_t begin) {
    if (queries.weights != nullptr) return WeightedScanner(kernels, queries, masks, begin);
    if (is_bit_sliced(kernels, queries.count, items)) return BitSlicedScanner(kernels, queries, masks, begin);
    return RowScanner(kernels, queries, masks, begin);
  }

  // Whether it takes less time to gather the allowed items and to scan them than to scan all.
  bool gathers(std::size_t items, std::size_t allowed) const {
    const bool weighted = std::holds_alternative<WeightedScanner>(form_);
    const std::size_t gathering = weighted ? weighted_scans_per_gathered : scans_per_gathered;
    return allowed * (gathering + queries_) < items * queries_;
  }

  std::size_t queries_;
  Form form_;
};

}  // namespace vtsearch
