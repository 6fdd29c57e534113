// What lies below a threshold, for each query its own: tile by tile, from rows for a few queries, from blocks for many.
#pragma once

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
        items_(queries.count + 1),
        finds_(queries.count + 1) {}

  void set_threshold(std::size_t q, std::size_t threshold) { queries_.set_threshold(q, threshold); }

  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    for (std::size_t first = 0; first < tile.count; first += block_items) {
      block_.set(kernels_, tile, first);
      const std::size_t found =
          kernels_.scan(block_.rows(), queries_.view(), block_.items(), items_.data(), finds_.data());
      for (std::size_t i = 0; i < found; ++i) {
        const auto [q, count] = finds_[i];
        append(tile, first, i, lists[q]);
        visit(q, count);
      }
    }
  }

 private:
  void append(const Tile& tile, std::size_t first, std::size_t find, HitList& list) const {
    const auto [q, count] = finds_[find];
    list.make_room(count + items_per_group);
    std::uint32_t* items = list.items_end();
    const std::size_t number = first + (tile.items == nullptr ? tile.first : 0);
    kernels_.expand(items_[find], count, static_cast<std::uint32_t>(number), tile.codes + first * padded_,
                    codes_.data() + q * padded_, padded_, items, list.distances_end());
    if (tile.items != nullptr) {
      for (std::size_t i = 0; i < count; ++i) items[i] = tile.items[items[i]];
    }
    list.grow(count);
  }

  BlockKernels kernels_;
  SlicedQuerySet queries_;
  std::size_t padded_;
  std::vector<std::uint8_t> codes_;  // the queries
  SlicedBlock block_;
  std::vector<BlockItems> items_;
  std::vector<BlockFinds> finds_;
};

class Scanner {
 public:
  Scanner(const Kernels& kernels, CodeView queries) : form_(make(kernels, queries)) {}

  void set_threshold(std::size_t q, std::size_t threshold) {
    std::visit([&](auto& form) { form.set_threshold(q, threshold); }, form_);
  }

  // Appends what the tile has below each query's threshold, in order, and calls visit(query, how many) when it has, for
  // the whole tile or for one piece of it after another. The call may lower that query's threshold.
  template <class Visit>
  void scan(const Tile& tile, HitLists& lists, Visit&& visit) {
    std::visit([&](auto& form) { form.scan(tile, lists, visit); }, form_);
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
