#include "hamming/relevance.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "hamming/bits.h"
#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/scanner.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"

namespace vtsearch {
namespace {

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

// Histograms of one block of queries over one range.
DistanceCounts count_block(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                           CancellationPoint& cancellation_point) {
  Counter counter(kernels, data.queries.codes.part(block), allowed_items(data.masks.shared(), range));
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(data.queries.codes.width)));
  ItemsByQuery relevant(block.count());
  std::vector<std::vector<std::uint64_t>> unions(block.count());
  TileReader reader(data.database.codes, data.masks.shared(), range);
  TileMasks masks(data.masks.from(block.begin), data.queries.codes.part(block), range.begin);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    for (std::size_t q = 0; q < block.count(); ++q) {
      const std::size_t query = block.begin + q;
      relevant[q] = bitmaps.relevant(data.queries.labels.begin(query), data.queries.labels.end(query), unions[q]);
    }
    counter.add(tile, masks.of(tile), &relevant);
  }
  return counter.finish();
}

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

// Average precision of one query by visiting items in order of the index: histograms give the rank at which each
// distance begins.
class IndexOrder {
 public:
  IndexOrder(const std::int64_t* items, const std::int64_t* relevant, std::size_t bins, std::size_t k)
      : places_(bins), k_(k) {
    Place next{0, 0};
    for (std::size_t d = 0; d < bins; ++d) {
      if (next.position < k) threshold_ = d + 1;
      places_[d] = next;
      next.position += static_cast<std::uint32_t>(items[d]);
      next.relevant += static_cast<std::uint32_t>(relevant[d]);
    }
    relevant_ = next.relevant;
  }

  // Items at this distance and beyond are behind rank k.
  std::size_t threshold() const { return threshold_; }

  // Without branches, because relevance is hard to predict.
  void visit(std::size_t distance, bool is_relevant) {
    Place& here = places_[distance];
    ++here.position;
    here.relevant += is_relevant;
    const std::size_t counts = is_relevant & (here.position <= k_);
    const double precision = static_cast<double>(here.relevant) / static_cast<double>(here.position);
    sum_ += counts != 0 ? precision : 0.0;
    retrieved_ += counts;
  }

  double score(Normalizer normalizer) const { return normalized(sum_, normalizer, retrieved_, relevant_, k_); }

 private:
  struct Place {
    std::uint32_t position;  // rank - 1 of the next item at this distance
    std::uint32_t relevant;  // relevant items before that rank
  };

  std::vector<Place> places_;
  std::size_t k_;
  std::size_t threshold_ = 0;
  std::size_t relevant_ = 0;
  double sum_ = 0.0;
  std::size_t retrieved_ = 0;
};

// Visits all items: for a k that is a large part of them. `Distances` computes theirs.
template <class Distances>
void visit_all(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
               CancellationPoint& cancellation_point, std::vector<IndexOrder>& orders) {
  std::vector<std::uint64_t> scratch;
  const Queries codes = data.queries.codes.part(block);
  Distances tile_distances(kernels, codes);
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(codes.width)));
  TileReader reader(data.database.codes, data.masks.shared(), range);
  TileMasks masks(data.masks.from(block.begin), data.queries.codes.part(block), range.begin);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    const ItemsByQuery* allowed = masks.of(tile);
    tile_distances.for_each_query(tile, [&](std::size_t q, const auto* distances) {
      const std::size_t query = block.begin + q;
      const std::uint64_t* relevant =
          bitmaps.relevant(data.queries.labels.begin(query), data.queries.labels.end(query), scratch);
      IndexOrder& order = orders[q];
      const auto visit = [&](std::size_t i) {
        order.visit(distances[i], relevant != nullptr && ((relevant[i / 64] >> (i % 64)) & 1) != 0);
      };
      if (allowed != nullptr) return for_each_bit((*allowed)[q], words_for(tile.count), visit);
      for (std::size_t i = 0; i < tile.count; ++i) visit(i);
    });
  }
}

// Visits those that can have rank k or less.
void visit_near(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                CancellationPoint& cancellation_point, std::vector<IndexOrder>& orders) {
  const LabelView labels = data.queries.labels;
  const Queries codes = data.queries.codes.part(block);
  const std::size_t allowed = allowed_items(data.masks.shared(), range);
  Scanner scanner(kernels, codes, allowed, data.masks.from(block.begin), range.begin);
  for (std::size_t q = 0; q < block.count(); ++q) scanner.set_threshold(q, orders[q].threshold());
  ClassBitmaps bitmaps(data.database.labels, data.classes, scanner.items_per_tile());
  std::vector<std::uint64_t> scratch;
  HitLists hits(block.count());
  TileReader reader = scanner.tiles(data.database.codes, data.masks.shared(), range, allowed);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
      const std::size_t query = block.begin + q;
      const std::uint64_t* relevant = bitmaps.relevant(labels.begin(query), labels.end(query), scratch);
      for (std::size_t i = 0, position = 0; i < count; ++i) {
        position = tile.position(hits[q].items()[i], position);
        orders[q].visit(hits[q].distances()[i],
                        relevant != nullptr && ((relevant[position / 64] >> (position % 64)) & 1) != 0);
      }
      hits[q].clear();
    });
  }
}

// `orders`: of the queries of the block.
void visit_block(const Kernels& kernels, const LabelledCodes& data, Range block, std::size_t k,
                 CancellationPoint& cancellation_point, std::vector<IndexOrder>& orders) {
  constexpr std::size_t all_share = 4;
  const Range all{0, data.database.codes.count};
  if (k < all.count() / all_share) {
    visit_near(kernels, data, block, all, cancellation_point, orders);
  } else {
    with_distances(data.queries.codes, [&](auto distances) {
      visit_all<typename decltype(distances)::type>(kernels, data, block, all, cancellation_point, orders);
    });
  }
}

}  // namespace

void relevance_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads,
                          Cancellation& cancellation, std::int64_t* items, std::int64_t* relevant) {
  const Queries& queries = data.queries.codes;
  const std::size_t bins = queries.bins();
  const Plan plan = plan_work(queries.count, data.database.codes.count, threads, queries_per_counter(queries));
  std::mutex mutex;
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    const DistanceCounts counts = count_block(kernels, data, block, plan.range(task), cancellation_point);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts.items.size(); ++i) {
      items[block.begin * bins + i] += counts.items[i];
      relevant[block.begin * bins + i] += counts.relevant[i];
    }
  });
}

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

void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, const std::int64_t* items,
                                const std::int64_t* relevant, std::size_t k, Normalizer normalizer, std::size_t threads,
                                Cancellation& cancellation, double* scores) {
  const std::size_t bins = data.queries.codes.bins();
  const Plan plan = plan_queries(data.queries.codes.count, data.database.codes.count, threads, queries_per_block);
  parallel_for(plan.queries.size(), plan.threads, cancellation,
               [&](std::size_t task, CancellationPoint& cancellation_point) {
                 const Range block = plan.queries[task];
                 std::vector<IndexOrder> orders;
                 orders.reserve(block.count());
                 for (std::size_t q = block.begin; q < block.end; ++q) {
                   orders.emplace_back(items + q * bins, relevant + q * bins, bins, k);
                 }
                 visit_block(kernels, data, block, k, cancellation_point, orders);
                 for (std::size_t q = block.begin; q < block.end; ++q) {
                   scores[q] = orders[q - block.begin].score(normalizer);
                 }
               });
}

}  // namespace vtsearch
