// The classes of a tile as bitmaps of its items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/bits.h"
#include "hamming/tile_reader.h"

namespace vtsearch {

// For each class that occurs in a tile, a bitmap of the items with that class. The relevant items of a query are the
// union of a few bitmaps, independent of the number of classes.
class ClassBitmaps {
 public:
  ClassBitmaps(LabelView labels, std::size_t classes, std::size_t tile_items)
      : labels_(labels), words_(words_for(tile_items)), row_of_class_(classes, none) {}

  // The items of a tile of the range that begins at `begin`.
  void set_tile(const Tile& tile, std::size_t begin) {
    for (const std::int32_t c : classes_) row_of_class_[static_cast<std::size_t>(c)] = none;
    classes_.clear();
    bits_.clear();
    for (std::size_t position = 0; position < tile.count; ++position) {
      const std::size_t i = begin + tile.item(position);
      for (const std::int32_t* c = labels_.begin(i); c != labels_.end(i); ++c) {
        bits_[row(*c) * words_ + position / 64] |= std::uint64_t{1} << (position % 64);
      }
    }
  }

  // Calls visit(bitmap) for each class in [begin, end) that occurs in the tile.
  template <class Visit>
  void for_each(const std::int32_t* begin, const std::int32_t* end, Visit&& visit) const {
    for (const std::int32_t* c = begin; c != end; ++c) {
      const std::int32_t found = row_of_class_[static_cast<std::size_t>(*c)];
      if (found != none) visit(bits_.data() + static_cast<std::size_t>(found) * words_);
    }
  }

  // The items that share a class with the query: a single bitmap unchanged, or the union in `scratch`; null if none.
  const std::uint64_t* relevant(const std::int32_t* begin, const std::int32_t* end,
                                std::vector<std::uint64_t>& scratch) const {
    const std::uint64_t* only = nullptr;
    std::size_t count = 0;
    for_each(begin, end, [&](const std::uint64_t* bitmap) {
      if (count == 0) {
        only = bitmap;
      } else {
        if (count == 1) scratch.assign(only, only + words_);
        for (std::size_t w = 0; w < words_; ++w) scratch[w] |= bitmap[w];
      }
      ++count;
    });
    return count > 1 ? scratch.data() : only;
  }

  std::size_t words() const { return words_; }

 private:
  static constexpr std::int32_t none = -1;

  std::size_t row(std::int32_t c) {
    std::int32_t& found = row_of_class_[static_cast<std::size_t>(c)];
    if (found == none) {
      found = static_cast<std::int32_t>(classes_.size());
      classes_.push_back(c);
      bits_.resize(classes_.size() * words_, 0);
    }
    return static_cast<std::size_t>(found);
  }

  LabelView labels_;
  std::size_t words_;
  std::vector<std::int32_t> row_of_class_;
  std::vector<std::int32_t> classes_;  // classes of the tile, by row of bits_
  std::vector<std::uint64_t> bits_;
};

}  // namespace vtsearch
