// Bitmaps of tiles under masks that differ between queries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/tile_reader.h"

namespace vtsearch {

class TileMasks {
 public:
  // Masks of queries, for tiles of the range that begins at `begin`, a multiple of 64.
  TileMasks(Masks masks, CodeView queries, std::size_t begin) : masks_(masks), begin_(begin) {
    if (!masks.by_query()) return;
    words_ = (items_per_tile(padded_width(queries.width)) + block_items - 1) / block_items * block_words;
    bits_.resize(queries.count * words_);
    for (std::size_t q = 0; q < queries.count; ++q) items_.push_back(bits_.data() + q * words_);
  }

  // For each query the items of the tile that it may find; null if one mask is for all, which tiles follow.
  const ItemsByQuery* of(const Tile& tile) {
    if (!masks_.by_query()) return nullptr;
    const std::size_t first = begin_ + tile.first;
    for (std::size_t q = 0; q < items_.size(); ++q) {
      masks_.of(q).write_words(first, first + tile.count, bits_.data() + q * words_);
    }
    return &items_;
  }

 private:
  Masks masks_;
  std::size_t begin_;
  std::size_t words_ = 0;  // of a query: whole blocks
  std::vector<std::uint64_t> bits_;
  ItemsByQuery items_;
};

}  // namespace vtsearch
