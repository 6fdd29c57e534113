// What lies below a threshold, for each query its own: tile by tile, from rows for a few queries, from blocks for many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "codes.h"
#include "hamming/blocks.h"
#include "hamming/hits.h"
#include "hamming/tiles.h"
#include "simd/kernels.h"

namespace vtsearch {

// What found items are appended to: a HitList for each query.
using HitLists = std::vector<HitList>;

template <class Distance>
class RowScanner {
 public:
  RowScanner(const Kernels& kernels, CodeView queries)
      : distances_(kernels, queries),
        thresholds_(queries.count, static_cast<Distance>(queries.bins())),
        positions_(items_per_tile(padded_width(queries.width)) + items_per_group) {}

  void set_threshold(std::size_t q, std::size_t threshold) { thresholds_[q] = static_cast<Distance>(threshold); }

  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    distances_.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
      const std::size_t count = distances_.kernels().scan(distances, tile.count, thresholds_[q], positions_.data());
      if (count == 0) return;
      lists[q].make_room(count);
      std::uint32_t* items = lists[q].items_end();
      std::uint16_t* found = lists[q].distances_end();
      for (std::size_t i = 0; i < count; ++i) {
        items[i] = tile.item(positions_[i]);
        found[i] = distances[positions_[i]];
      }
      lists[q].grow(count);
      visit(q, count);
    });
  }

  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    distances_.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
      visit(q, distances_.kernels().scan(distances, tile.count, thresholds_[q], positions_.data()));
    });
  }

 private:
  TileDistances<Distance> distances_;
  std::vector<Distance> thresholds_;
  std::vector<std::uint32_t> positions_;
};

class BlockScanner {
 public:
  BlockScanner(const Kernels& kernels, CodeView queries)
      : kernels_(kernels, queries.width),
        queries_(queries),
        padded_(padded_width(queries.width)),
        codes_(padded_codes(queries)),
        block_(queries.width),
        found_(queries.count),
        any_(queries.count) {}

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
      if (any_[q] != 0) visit(q, kernels_.found(found_[q], any_[q]));
    }
  }

 private:
  // Which items of the tile lie below each query's threshold, as bits.
  void find(const Tile& tile) {
    std::fill(any_.begin(), any_.end(), std::uint8_t{0});
    for (std::size_t block = 0; block * block_items < tile.count; ++block) {
      block_.set(kernels_, tile, block * block_items);
      kernels_.scan(block_.rows(), queries_.view(), block_.items(), block, found_.data(), any_.data());
    }
  }

  std::size_t append(const Tile& tile, std::size_t q, HitList& list) const {
    const std::size_t count = kernels_.found(found_[q], any_[q]);
    list.make_room(count + items_per_group);
    std::uint32_t* items = list.items_end();
    kernels_.expand(found_[q], any_[q], tile.items == nullptr ? tile.first : 0, tile.codes, codes_.data() + q * padded_,
                    padded_, items, list.distances_end());
    if (tile.items != nullptr) {
      for (std::size_t i = 0; i < count; ++i) items[i] = tile.items[items[i]];
    }
    list.grow(count);
    return count;
  }

  BlockKernels kernels_;
  SlicedQuerySet queries_;
  std::size_t padded_;
  std::vector<std::uint8_t> codes_;  // the queries
  SlicedBlock block_;
  std::vector<TileItems> found_;
  std::vector<std::uint8_t> any_;
};

class Scanner {
 public:
  Scanner(const Kernels& kernels, CodeView queries) : form_(make(kernels, queries)) {}

  void set_threshold(std::size_t q, std::size_t threshold) {
    std::visit([&](auto& form) { form.set_threshold(q, threshold); }, form_);
  }

  // Appends what the tile has below each query's threshold, in order, and calls visit(query, how many) where it has
  // any. The call may lower that query's threshold.
  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    std::visit([&](auto& form) { form.scan(tile, lists, visit); }, form_);
  }

  // Calls visit(query, how many the tile has below its threshold), for those that have any.
  template <class Visit>
  void count(const Tile& tile, Visit&& visit) {
    std::visit([&](auto& form) { form.count(tile, visit); }, form_);
  }

 private:
  using Form = std::variant<RowScanner<std::uint8_t>, RowScanner<std::uint16_t>, BlockScanner>;

  static Form make(const Kernels& kernels, CodeView queries) {
    if (queries.count >= fewest_sliced_queries) return BlockScanner(kernels, queries);
    if (has_byte_distances(queries.width)) return RowScanner<std::uint8_t>(kernels, queries);
    return RowScanner<std::uint16_t>(kernels, queries);
  }

  Form form_;
};

}  // namespace vtsearch
