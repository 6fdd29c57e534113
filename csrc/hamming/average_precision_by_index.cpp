#include "hamming/average_precision_by_index.h"

#include <algorithm>
#include <cstdint>
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

// The precisions of one query by visiting items in order of the index: histograms of the whole database give the rank
// at which each distance begins, those of the parts before how many of these ranks are taken. `Count` holds any rank:
// half as many bytes take a tenth less time.
template <class Count>
class IndexOrder {
 public:
  IndexOrder(const WholeCounts& whole, const IndexOrderSums& state, const Exclusions& exclusions, std::size_t query)
      : whole_(whole),
        state_(state),
        query_(query),
        places_(whole.bins),
        k_(static_cast<std::int64_t>(std::min<std::size_t>(whole.k, INT64_MAX))),
        sum_(state.sums[query]),
        retrieved_(state.retrieved[query]),
        excluded_(exclusions.begin(query)),
        excluded_end_(exclusions.end(query)) {
    for_each_distance([&](std::size_t d, std::size_t i, Place<std::int64_t> first) {
      if (first.position < k_) threshold_ = d + 1;
      if (state_.items_before != nullptr) {
        first.position += state_.items_before[i];
        first.relevant += state_.relevant_before[i];
      }
      places_[d] = {static_cast<Count>(first.position), static_cast<Count>(first.relevant)};
    });
  }

  // Items at this distance and beyond are behind rank k.
  std::size_t threshold() const { return threshold_; }

  // Without branches, because relevance is hard to predict.
  void visit(std::size_t distance, bool is_relevant) {
    Place<Count>& here = places_[distance];
    ++here.position;
    here.relevant += is_relevant;
    const std::int64_t counts = is_relevant & (here.position <= k_);
    const double precision = static_cast<double>(here.relevant) / static_cast<double>(here.position);
    sum_ += counts != 0 ? precision : 0.0;
    retrieved_ += counts;
  }

  // Whether the query excludes an item; those asked for may not fall.
  bool excludes(std::int64_t item) {
    while (excluded_ != excluded_end_ && *excluded_ < item) ++excluded_;
    return excluded_ != excluded_end_ && *excluded_ == item;
  }

  // Whether it excludes one of the items begin .. end - 1.
  bool excludes_any(std::int64_t begin, std::int64_t end) {
    return excludes(begin) || (excluded_ != excluded_end_ && *excluded_ < end);
  }

  // Adds what was visited to the state.
  void finish() const {
    state_.sums[query_] = sum_;
    state_.retrieved[query_] = retrieved_;
    if (state_.items_before == nullptr) return;
    for_each_distance([&](std::size_t d, std::size_t i, Place<std::int64_t> first) {
      state_.items_before[i] = places_[d].position - first.position;
      state_.relevant_before[i] = places_[d].relevant - first.relevant;
    });
  }

 private:
  template <class Number>
  struct Place {
    Number position;  // rank - 1 of the next item at this distance
    Number relevant;  // relevant items before that rank
  };

  // Calls visit(distance, its number in the histograms of all queries, its first place).
  template <class Visit>
  void for_each_distance(Visit&& visit) const {
    Place<std::int64_t> first{0, 0};
    for (std::size_t d = 0, i = query_ * whole_.bins; d < whole_.bins; ++d, ++i) {
      visit(d, i, first);
      first.position += whole_.items[i];
      first.relevant += whole_.relevant[i];
    }
  }

  const WholeCounts& whole_;
  const IndexOrderSums& state_;
  std::size_t query_;
  std::vector<Place<Count>> places_;
  std::int64_t k_;
  std::size_t threshold_ = 0;
  double sum_;
  std::int64_t retrieved_;
  const std::int64_t* excluded_;
  const std::int64_t* excluded_end_;
};

// Calls visit(position) for the items of a tile that a bitmap allows; null allows all.
template <class Visit>
void visit_allowed(const Tile& tile, const std::uint64_t* allowed, Visit&& visit) {
  if (allowed != nullptr) return for_each_bit(allowed, words_for(tile.count), visit);
  for (std::size_t i = 0; i < tile.count; ++i) visit(i);
}

// Visits all items: for a k that is a large part of them. `Distances` computes theirs.
template <class Distances, class Order>
void visit_all(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
               CancellationPoint& cancellation_point, std::vector<Order>& orders) {
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
      Order& order = orders[q];
      const auto visit = [&](std::size_t i) {
        order.visit(distances[i], relevant != nullptr && ((relevant[i / 64] >> (i % 64)) & 1) != 0);
      };
      const auto visit_kept = [&](std::size_t i) {
        if (!order.excludes(tile.item(i))) visit(i);
      };
      if (order.excludes_any(tile.item(0), tile.item(tile.count - 1) + 1)) {
        visit_allowed(tile, allowed == nullptr ? nullptr : (*allowed)[q], visit_kept);
      } else {
        visit_allowed(tile, allowed == nullptr ? nullptr : (*allowed)[q], visit);
      }
    });
  }
}

// Visits those that can have rank k or less.
template <class Order>
void visit_near(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                CancellationPoint& cancellation_point, std::vector<Order>& orders) {
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
        const std::uint32_t item = hits[q].items()[i];
        position = tile.position(item, position);
        if (orders[q].excludes(item)) continue;
        orders[q].visit(hits[q].distances()[i],
                        relevant != nullptr && ((relevant[position / 64] >> (position % 64)) & 1) != 0);
      }
      hits[q].clear();
    });
  }
}

// `most`: items that one query may find.
template <class Count>
void add_block(const Kernels& kernels, const LabelledCodes& data, Range block, const WholeCounts& whole,
               std::size_t most, const Exclusions& exclusions, CancellationPoint& cancellation_point,
               const IndexOrderSums& state) {
  constexpr std::size_t all_share = 4;
  const Range all{0, data.database.codes.count};
  std::vector<IndexOrder<Count>> orders;
  orders.reserve(block.count());
  for (std::size_t q = block.begin; q < block.end; ++q) orders.emplace_back(whole, state, exclusions, q);
  if (whole.k < std::max(all.count(), most) / all_share) {
    visit_near(kernels, data, block, all, cancellation_point, orders);
  } else {
    with_distances(data.queries.codes, [&](auto distances) {
      visit_all<typename decltype(distances)::type>(kernels, data, block, all, cancellation_point, orders);
    });
  }
  for (const IndexOrder<Count>& order : orders) order.finish();
}

}  // namespace

void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, const WholeCounts& whole,
                                const Exclusions& exclusions, std::size_t threads, Cancellation& cancellation,
                                const IndexOrderSums& state) {
  const Plan plan = plan_queries(data.queries.codes.count, data.database.codes.count, threads, queries_per_block);
  parallel_for(plan.queries.size(), plan.threads, cancellation,
               [&](std::size_t task, CancellationPoint& cancellation_point) {
                 const Range block = plan.queries[task];
                 const std::size_t most = whole.most(block);
                 const auto add = most <= UINT32_MAX ? add_block<std::uint32_t> : add_block<std::int64_t>;
                 add(kernels, data, block, whole, most, exclusions, cancellation_point, state);
               });
}

}  // namespace vtsearch
