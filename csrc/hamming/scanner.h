// What lies below a threshold, for each query its own: tile by tile, from rows for a few queries, from blocks for many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "codes.h"
#include "hamming/blocks.h"
#include "hamming/tiles.h"
#include "simd/kernels.h"

namespace vtsearch {

// Items of a tile below a query's threshold, by position, ascending.
struct Hits {
  std::size_t count;
  const std::uint16_t* positions;
  const std::uint16_t* distances;
};

template <class Distance>
class RowScanner {
 public:
  RowScanner(const Kernels& kernels, CodeView queries)
      : distances_(kernels, queries),
        thresholds_(queries.count, static_cast<Distance>(queries.bins())),
        positions_(items_per_tile(padded_width(queries.width)) + items_per_group),
        found_(positions_.size()) {}

  void set_threshold(std::size_t q, std::size_t threshold) { thresholds_[q] = static_cast<Distance>(threshold); }

  template <class Visit>
  void scan(const Tile& tile, Visit&& visit) {
    distances_.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
      const std::size_t count = distances_.kernels().scan(distances, tile.count, thresholds_[q], positions_.data());
      for (std::size_t i = 0; i < count; ++i) found_[i] = distances[positions_[i]];
      if (count != 0) visit(q, Hits{count, positions_.data(), found_.data()});
    });
  }

 private:
  TileDistances<Distance> distances_;
  std::vector<Distance> thresholds_;
  std::vector<std::uint16_t> positions_;
  std::vector<std::uint16_t> found_;
};

class BlockScanner {
 public:
  BlockScanner(const Kernels& kernels, CodeView queries)
      : kernels_(kernels, queries.width),
        queries_(queries),
        padded_(padded_width(queries.width)),
        codes_(padded_codes(queries)),
        block_(queries.width),
        found_(queries.count + 1),
        query_(queries.count + 1),
        positions_(block_items),
        distances_(block_items) {}

  void set_threshold(std::size_t q, std::size_t threshold) { queries_.set_threshold(q, threshold); }

  template <class Visit>
  void scan(const Tile& tile, Visit&& visit) {
    for (std::size_t first = 0; first < tile.count; first += block_items) {
      block_.set(kernels_, tile, first);
      const std::size_t entries =
          kernels_.scan(block_.rows(), queries_.view(), block_.items(), found_.data(), query_.data());
      for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t q = query_[i];
        const std::size_t count =
            kernels_.expand(found_[i], first, tile.codes + first * padded_, codes_.data() + q * padded_, padded_,
                            positions_.data(), distances_.data());
        visit(q, Hits{count, positions_.data(), distances_.data()});
      }
    }
  }

 private:
  BlockKernels kernels_;
  SlicedQuerySet queries_;
  std::size_t padded_;
  std::vector<std::uint8_t> codes_;  // the queries
  SlicedBlock block_;
  std::vector<BlockItems> found_;
  std::vector<std::uint32_t> query_;
  std::vector<std::uint16_t> positions_;
  std::vector<std::uint16_t> distances_;
};

class Scanner {
 public:
  Scanner(const Kernels& kernels, CodeView queries) : form_(make(kernels, queries)) {}

  void set_threshold(std::size_t q, std::size_t threshold) {
    std::visit([&](auto& form) { form.set_threshold(q, threshold); }, form_);
  }

  // Calls visit(query, hits) for queries that have any in the tile, once or for one piece of it after another. It may
  // set that query's threshold.
  template <class Visit>
  void scan(const Tile& tile, Visit&& visit) {
    std::visit([&](auto& form) { form.scan(tile, visit); }, form_);
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
