// The database as tiles: pieces that mostly fit the first-level cache, padded to a width that has a kernel, without
// masked items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "codes.h"
#include "simd/kernels.h"

namespace vtsearch {

// Items are numbered inside a range by 32 bits; longer databases are cut into ranges.
inline constexpr std::size_t range_limit = std::size_t{1} << 31;

// Bytes of the widest code; its distances fit 16 bits.
inline constexpr std::size_t width_limit = 8191;

// Memory that a vector load or store may touch from its first byte on.
template <class T>
class AlignedArray {
 public:
  explicit AlignedArray(std::size_t size) : data_(static_cast<T*>(::operator new(size * sizeof(T), alignment))) {}
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Delete {
    void operator()(T* p) const { ::operator delete(p, alignment); }
  };
  std::unique_ptr<T, Delete> data_;
};

// The width in bytes that codes of `width` are padded to.
std::size_t padded_width(std::size_t width);

// Codes copied to their padded width; the padding is 0.
std::vector<std::uint8_t> padded_codes(CodeView codes);

// As many as fit the first-level cache.
std::size_t items_per_tile(std::size_t padded_width);

// For a single query, which reads nothing twice: the longer the tile, the seldomer memory waits while the next is
// begun.
std::size_t items_per_streamed_tile(std::size_t padded_width);

std::size_t allowed_items(MaskView mask, Range range);

struct Tile {
  const std::uint8_t* codes;  // padded
  std::size_t count;
  const std::uint32_t* items;  // item numbers inside the range; null if they run on from `first`
  std::uint32_t first;

  std::uint32_t item(std::size_t position) const {
    return items == nullptr ? first + static_cast<std::uint32_t>(position) : items[position];
  }
};

// Walks over the allowed items of a range, in order.
class TileReader {
 public:
  TileReader(CodeView codes, MaskView mask, Range range)
      : TileReader(codes, mask, range, items_per_tile(padded_width(codes.width))) {}
  TileReader(CodeView codes, MaskView mask, Range range, std::size_t items_per_tile);

  // The next tile that is not empty; false at the end. Valid until the next call.
  bool next(Tile& tile);

 private:
  bool next_masked(Tile& tile);
  const std::uint8_t* padded(std::size_t first, std::size_t count);

  CodeView codes_;
  MaskView mask_;
  Range range_;
  std::size_t position_;
  std::size_t width_;
  std::size_t items_;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint32_t> numbers_;
};

// Where the padded width stands among narrow_widths, the wide one and all others.
std::size_t width_form(std::size_t padded);

// The kernels for codes of one padded width, with distances as bytes or as shorts.
template <class Distance>
struct WidthKernels {
  DistancesKernel<Distance> distances;
  CountKernel<Distance> count;
};

template <class Distance>
WidthKernels<Distance> kernels_for(const Kernels& kernels, std::size_t padded) {
  if constexpr (std::is_same_v<Distance, std::uint8_t>) {
    return {kernels.narrow[width_form(padded)], kernels.count_bytes};
  } else {
    return {padded == wide_width ? kernels.wide : kernels.words, kernels.count_shorts};
  }
}

// Whether distances of codes of this width are kept as bytes.
inline bool has_byte_distances(std::size_t width) {
  return padded_width(width) <= narrow_widths[3];
}

// Calls function(Distance{}) with the type that holds the distances of codes of this width.
template <class Function>
void with_distance_type(std::size_t width, Function&& function) {
  if (has_byte_distances(width)) {
    function(std::uint8_t{});
  } else {
    function(std::uint16_t{});
  }
}

// Distances of a few queries at a time to one tile after another.
template <class Distance>
class TileDistances {
 public:
  TileDistances(const Kernels& kernels, CodeView queries)
      : padded_(padded_width(queries.width)),
        kernels_(kernels_for<Distance>(kernels, padded_)),
        queries_(padded_codes(queries)),
        count_(queries.count),
        stride_(items_per_tile(padded_)),
        distances_(queries_per_call * stride_) {}

  const WidthKernels<Distance>& kernels() const { return kernels_; }

  // Calls visit(query, distances of that query to the tile's items) for each query.
  template <class Visit>
  void for_each_query(const Tile& tile, Visit&& visit) {
    for (std::size_t first = 0; first < count_; first += queries_per_call) {
      const std::size_t queries = count_ - first < queries_per_call ? count_ - first : queries_per_call;
      kernels_.distances(queries_.data() + first * padded_, queries, tile.codes, tile.count, padded_, distances_.data(),
                         stride_);
      for (std::size_t q = 0; q < queries; ++q) visit(first + q, distances_.data() + q * stride_);
    }
  }

 private:
  std::size_t padded_;
  WidthKernels<Distance> kernels_;
  std::vector<std::uint8_t> queries_;
  std::size_t count_;
  std::size_t stride_;
  AlignedArray<Distance> distances_;
};

}  // namespace vtsearch
