// The codes of buckets, compared with a query.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "codes.h"
#include "compiler.h"
#include "hamming/aligned_array.h"
#include "hamming/key_probes.h"
#include "hamming/multi_index.h"
#include "hamming/nearest_found.h"
#include "hamming/padding.h"
#include "hamming/row_scan.h"
#include "simd/kernels.h"

namespace vtsearch {

// Large buckets with copies of their codes are scanned where they lie; other codes are first gathered into a buffer.
class Candidates {
 public:
  Candidates(const Kernels& kernels, const MultiIndexView& index)
      : codes_(index.codes),
        width_(index.width),
        padded_(padded_width(index.width)),
        query_(padded_),
        gathered_(piece * padded_),
        places_(piece),
        rows_(kernels, padded_, piece) {
    std::fill_n(gathered_.data(), piece * padded_, std::uint8_t{0});
  }

  void start(const std::uint8_t* query) { std::copy_n(query, width_, query_.data()); }

  // Calls visit(number, code, distance) for items of the buckets of a table, whose numbers count from the item `first`:
  // for all whose distance is below the threshold of `found` at that time. Ends early, and returns false, when stop()
  // is true.
  template <class Visit, class Stop>
  bool compare(const SubstringTable& table, std::span<const Bucket> buckets, std::uint32_t first,
               const NearestFound& found, Visit&& visit, Stop&& stop) {
    std::size_t gathered = 0;
    const auto flush = [&] {
      if (table.codes == nullptr) fetch(table, gathered);
      const auto item = [&](std::size_t i) { return table.items[places_.data()[i]]; };
      scan(gathered_.data(), gathered, found.threshold(), item, visit);
      gathered = 0;
    };
    for (std::size_t b = 0; b < std::min(buckets_ahead, buckets.size()); ++b) prefetch_bucket(table, buckets[b]);
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      if (b + buckets_ahead < buckets.size()) prefetch_bucket(table, buckets[b + buckets_ahead]);
      for (std::size_t begin = buckets[b].begin, end = buckets[b].end, step; begin < end; begin += step) {
        step = std::min(end - begin, found.full() ? piece : first_piece);
        if (table.codes != nullptr && step >= scanned_in_place) {
          const std::uint32_t* items = table.items + begin;
          scan(
              table.codes + begin * padded_, step, found.threshold(first + *items),
              [=](std::size_t i) { return items[i]; }, visit);
        } else {
          step = std::min(step, piece - gathered);
          gather(table, begin, step, gathered);
          gathered += step;
          if (gathered == piece) flush();
        }
        if (stop()) return false;
      }
    }
    flush();
    return true;
  }

 private:
  static constexpr std::size_t piece = 512;
  static constexpr std::size_t first_piece = 64;  // as long as nearly every code is of use
  static constexpr std::size_t scanned_in_place = 64;
  static constexpr std::size_t buckets_ahead = 8;
  static constexpr std::size_t line = 64;
  static constexpr std::size_t lines_ahead = 32;  // of a bucket

  void prefetch_bucket(const SubstringTable& table, Bucket bucket) const {
    const std::uint8_t* begin = reinterpret_cast<const std::uint8_t*>(table.items + bucket.begin);
    std::size_t bytes = (bucket.end - bucket.begin) * sizeof(std::uint32_t);
    if (table.codes != nullptr) {
      begin = table.codes + bucket.begin * padded_;
      bytes = (bucket.end - bucket.begin) * padded_;
    }
    for (std::size_t b = 0; b < std::min(bytes, lines_ahead * line); b += line) prefetch(begin + b);
  }

  // Copies codes, or the numbers of their items whose codes are then on the way.
  void gather(const SubstringTable& table, std::size_t begin, std::size_t count, std::size_t place) {
    for (std::size_t i = 0; i < count; ++i) places_.data()[place + i] = static_cast<std::uint32_t>(begin + i);
    if (table.codes != nullptr) {
      std::memcpy(gathered_.data() + place * padded_, table.codes + begin * padded_, count * padded_);
    } else {
      for (std::size_t i = 0; i < count; ++i) prefetch(codes_ + table.items[begin + i] * width_);
    }
  }

  void fetch(const SubstringTable& table, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(gathered_.data() + i * padded_, codes_ + table.items[places_.data()[i]] * width_, width_);
    }
  }

  template <class Item, class Visit>
  void scan(const std::uint8_t* codes, std::size_t count, std::size_t threshold, Item&& item, Visit&& visit) {
    if (count == 0) return;
    const std::size_t hits = rows_.find(query_.data(), codes, count, threshold);
    for (std::size_t i = 0; i < hits; ++i) {
      const std::size_t position = rows_.position(i);
      visit(item(position), codes + position * padded_, std::size_t{rows_.distance(i)});
    }
  }

  const std::uint8_t* codes_;
  std::size_t width_;
  std::size_t padded_;
  std::vector<std::uint8_t> query_;
  AlignedArray<std::uint8_t> gathered_;
  AlignedArray<std::uint32_t> places_;  // in the table, of gathered codes
  RowScan rows_;
};

}  // namespace vtsearch
