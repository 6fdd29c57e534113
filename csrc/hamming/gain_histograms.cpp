#include "hamming/gain_histograms.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "hamming/bits.h"
#include "hamming/class_bitmaps.h"
#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// For each number of shared classes, bitmaps of the items of a tile that share so many with a query.
class SharedClasses {
 public:
  explicit SharedClasses(std::size_t words) : words_(words) {}

  // Sets the number of shared classes of each item, as binary numbers: bit j of all items is one bitmap.
  void set(const ClassBitmaps& bitmaps, const std::int32_t* begin, const std::int32_t* end) {
    planes_.clear();
    bitmaps.for_each(begin, end, [&](const std::uint64_t* bitmap) {
      carry_.assign(bitmap, bitmap + words_);
      for (std::size_t first = 0; any(carry_); first += words_) {
        if (planes_.size() == first) planes_.resize(first + words_);
        for (std::size_t w = 0; w < words_; ++w) {
          const std::uint64_t both = planes_[first + w] & carry_[w];
          planes_[first + w] ^= carry_[w];
          carry_[w] = both;
        }
      }
    });
  }

  // Writes the bitmap of the items that share `count` classes, at least one.
  void items_with(std::size_t count, std::uint64_t* items) const {
    const std::size_t planes = planes_.size() / words_;
    if (count >> planes != 0) {
      std::fill_n(items, words_, std::uint64_t{0});
      return;
    }
    for (std::size_t w = 0; w < words_; ++w) {
      std::uint64_t word = ~std::uint64_t{0};
      for (std::size_t j = 0; j < planes; ++j) {
        const std::uint64_t plane = planes_[j * words_ + w];
        word &= (count >> j & 1) != 0 ? plane : ~plane;
      }
      items[w] = word;
    }
  }

 private:
  static bool any(const std::vector<std::uint64_t>& words) {
    return std::any_of(words.begin(), words.end(), [](std::uint64_t word) { return word != 0; });
  }

  std::size_t words_;
  std::vector<std::uint64_t> planes_;
  std::vector<std::uint64_t> carry_;
};

// Counts, for the queries of a block, the items at each distance that share a given number of classes.
class GainLevel {
 public:
  // `queries`: those with at least so many classes; empty if there are none.
  GainLevel(const Kernels& kernels, const Queries& codes, std::vector<std::size_t> queries, std::size_t items,
            std::size_t words)
      : queries_(std::move(queries)),
        words_(words),
        counter_(kernels, gathered(codes, queries_), items),
        bitmaps_(queries_.size() * words) {
    for (std::size_t i = 0; i < queries_.size(); ++i) counted_.push_back(bitmap(i));
  }

  // The place of a bitmap of the next tile, for the i-th query.
  std::uint64_t* bitmap(std::size_t i) { return bitmaps_.data() + i * words_; }

  // Counts the items of a tile; `allowed` by the queries of the block.
  void add(const Tile& tile, const ItemsByQuery* allowed) {
    if (allowed != nullptr) {
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        for (std::size_t w = 0; w < words_for(tile.count); ++w) bitmap(i)[w] &= (*allowed)[queries_[i]][w];
      }
    }
    counter_.add(tile, &counted_);
  }

  // Calls visit(query, items at each distance) for each query.
  template <class Visit>
  void finish(Visit&& visit) {
    const DistanceCounts counts = counter_.finish();
    for (std::size_t i = 0; i < queries_.size(); ++i) visit(queries_[i], counts.items.data() + i * counts.bins);
  }

 private:
  Queries gathered(Queries codes, const std::vector<std::size_t>& queries) {
    for (const std::size_t q : queries) {
      codes_.insert(codes_.end(), codes.code(q), codes.code(q + 1));
      if (codes.weights != nullptr) weights_.insert(weights_.end(), codes.weights_of(q), codes.weights_of(q + 1));
    }
    codes.data = codes_.data();
    codes.count = queries.size();
    if (codes.weights != nullptr) codes.weights = weights_.data();
    return codes;
  }

  std::vector<std::size_t> queries_;
  std::size_t words_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint8_t> weights_;
  Counter counter_;
  std::vector<std::uint64_t> bitmaps_;
  ItemsByQuery counted_;  // bitmaps
};

void gain_block(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                CancellationPoint& cancellation_point, Gains gains) {
  const Queries codes = data.queries.codes.part(block);
  const LabelView labels = data.queries.labels;
  const std::size_t bins = codes.bins();
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(codes.width)));
  SharedClasses shared(bitmaps.words());
  const std::size_t allowed = allowed_items(data.masks.shared(), range);
  std::vector<std::unique_ptr<GainLevel>> levels;  // one shared class, two, ...
  for (std::size_t count = 1; count <= gains.most; ++count) {
    std::vector<std::size_t> queries;
    for (std::size_t q = 0; q < block.count(); ++q) {
      if (labels.count(block.begin + q) >= count) queries.push_back(q);
    }
    if (queries.empty()) break;
    levels.push_back(std::make_unique<GainLevel>(kernels, codes, std::move(queries), allowed, bitmaps.words()));
  }
  std::vector<std::size_t> next(levels.size());
  TileReader reader(data.database.codes, data.masks.shared(), range);
  TileMasks masks(data.masks.from(block.begin), data.queries.codes.part(block), range.begin);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    std::fill(next.begin(), next.end(), 0);
    for (std::size_t q = 0; q < block.count(); ++q) {
      shared.set(bitmaps, labels.begin(block.begin + q), labels.end(block.begin + q));
      for (std::size_t l = 0; l < std::min(levels.size(), labels.count(block.begin + q)); ++l) {
        shared.items_with(l + 1, levels[l]->bitmap(next[l]++));
      }
    }
    const ItemsByQuery* allowed_here = masks.of(tile);
    for (const auto& level : levels) level->add(tile, allowed_here);
  }
  for (std::size_t l = 0; l < levels.size(); ++l) {
    const auto gain = static_cast<double>(l + 1), exponential = std::ldexp(1.0, static_cast<int>(l + 1)) - 1.0;
    levels[l]->finish([&](std::size_t q, const std::uint32_t* items) {
      const std::size_t row = (block.begin + q) * bins;
      for (std::size_t d = 0; d < bins; ++d) {
        gains.linear[row + d] += gain * items[d];
        gains.exponential[row + d] += exponential * items[d];
        gains.items[(block.begin + q) * (gains.most + 1) + l + 1] += items[d];
      }
    });
  }
}

}  // namespace

void gain_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads, Cancellation& cancellation,
                     Gains gains) {
  const Queries& queries = data.queries.codes;
  const Plan plan = plan_queries(queries.count, data.database.codes.count, threads, queries_per_counter(queries));
  parallel_for(plan.queries.size(), plan.threads, cancellation,
               [&](std::size_t task, CancellationPoint& cancellation_point) {
                 for (const Range range : plan.ranges) {
                   gain_block(kernels, data, plan.queries[task], range, cancellation_point, gains);
                 }
               });
  const Range all{0, data.database.codes.count};
  auto allowed = static_cast<std::int64_t>(allowed_items(data.masks.first, all));
  for (std::size_t q = 0; q < queries.count; ++q) {
    if (data.masks.by_query()) allowed = static_cast<std::int64_t>(allowed_items(data.masks.of(q), all));
    std::int64_t* row = gains.items + q * (gains.most + 1);
    row[0] = allowed - std::accumulate(row + 1, row + gains.most + 1, std::int64_t{0});
  }
}

}  // namespace vtsearch
