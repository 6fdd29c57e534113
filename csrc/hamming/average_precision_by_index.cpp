#include "hamming/average_precision_by_index.h"

#include <vector>

#include "hamming/bits.h"
#include "hamming/class_bitmaps.h"
#include "hamming/padding.h"
#include "hamming/scanner.h"
#include "hamming/tile_distances.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"

namespace vtsearch {
namespace {

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
