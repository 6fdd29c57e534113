// The database as tiles: pieces that usually fit the first-level cache, padded to a width that has kernels. Items that
// a mask excludes are left out, or stay and are told apart by a bitmap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/padding.h"

namespace vtsearch {

// Tile length that fits the first-level cache.
std::size_t items_per_tile(std::size_t padded_width);

// Tile length for a single query. No tile is read twice, so the cache does not limit it, and fewer tiles interrupt the
// hardware prefetch less often.
std::size_t items_per_streamed_tile(std::size_t padded_width);

// The number of items of the range that the mask allows.
std::size_t allowed_items(MaskView mask, Range range);

// The smaller of `most` and that number, after reading no more of the mask than it takes.
std::size_t count_allowed_up_to(std::size_t most, MaskView mask, Range range);

struct Tile {
  const std::uint8_t* codes;  // padded
  std::size_t count;
  const std::uint32_t* items;  // item numbers inside the range; null if consecutive from `first`
  std::uint32_t first;
  const std::uint64_t* allowed = nullptr;  // bitmap by position, a whole number of blocks long; null if all are allowed

  std::uint32_t item(std::size_t position) const {
    return items == nullptr ? first + static_cast<std::uint32_t>(position) : items[position];
  }

  // The position of an item that is at `from` or behind.
  std::size_t position(std::uint32_t item, std::size_t from) const {
    if (items == nullptr) return item - first;
    while (items[from] != item) ++from;
    return from;
  }
};

// The form of tiles under a mask.
enum class Masked {
  gathered,  // allowed codes only, copied: for a small share, and for readers that know no bitmaps
  marked,    // all codes of the tiles that have an allowed one, and a bitmap
  whole,     // all codes of these tiles, for readers that look up the few that matter
};

// Reads the allowed items of a range, in order.
class TileReader {
 public:
  TileReader(CodeView codes, MaskView mask, Range range)
      : TileReader(codes, mask, range, items_per_tile(padded_width(codes.width)), Masked::gathered) {}
  TileReader(CodeView codes, MaskView mask, Range range, std::size_t items_per_tile, Masked masked);

  // Sets `tile` to the next tile with an allowed item, valid until the next call; returns false at the end.
  bool next(Tile& tile);

 private:
  bool next_gathered(Tile& tile);
  bool is_allowed(std::size_t first, std::size_t count);
  bool mark(std::size_t first, std::size_t count);
  const std::uint8_t* padded(std::size_t first, std::size_t count);

  CodeView codes_;
  MaskView mask_;
  Range range_;
  std::size_t position_;
  std::size_t width_;
  std::size_t items_;
  Masked masked_;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::uint64_t> allowed_;
};

}  // namespace vtsearch
