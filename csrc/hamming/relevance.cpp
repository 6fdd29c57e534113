#include "hamming/relevance.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <vector>

#include "hamming/bits.h"
#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/tile_distances.h"
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

// Calls visit(q, tile, distances, bitmaps, kernels) for each tile of a range and each query q of the block.
template <class Distance, class Visit>
void walk(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
          CancellationPoint& cancellation_point, Visit&& visit) {
  const CodeView codes = data.queries.codes.part(block);
  TileDistances<Distance> tile_distances(kernels, codes);
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(codes.width)));
  TileReader reader(data.database.codes, data.mask, range);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
      visit(q, tile, distances, bitmaps, tile_distances.kernels());
    });
  }
}

// Histograms of one block of queries over one range.
DistanceCounts count_block(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                           CancellationPoint& cancellation_point) {
  Counter counter(kernels, data.queries.codes.part(block));
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(data.queries.codes.width)));
  RelevantItems relevant(block.count());
  std::vector<std::vector<std::uint64_t>> unions(block.count());
  TileReader reader(data.database.codes, data.mask, range);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    for (std::size_t q = 0; q < block.count(); ++q) {
      const std::size_t query = block.begin + q;
      relevant[q] = bitmaps.relevant(data.queries.labels.begin(query), data.queries.labels.end(query), unions[q]);
    }
    counter.add(tile, &relevant);
  }
  return counter.finish();
}

template <class Distance>
void gain_block(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                CancellationPoint& cancellation_point, double* gains, double* exponential_gains) {
  const std::size_t bins = data.database.codes.bins();
  std::vector<std::uint32_t> shared;
  walk<Distance>(kernels, data, block, range, cancellation_point,
                 [&](std::size_t q, const Tile& tile, const Distance* distances, const ClassBitmaps& bitmaps,
                     const WidthKernels<Distance>&) {
                   const std::size_t query = block.begin + q;
                   shared.assign(bitmaps.words() * 64, 0);
                   bitmaps.for_each(data.queries.labels.begin(query), data.queries.labels.end(query),
                                    [&](const std::uint64_t* bitmap) {
                                      for_each_bit(bitmap, bitmaps.words(), [&](std::size_t i) { ++shared[i]; });
                                    });
                   for (std::size_t i = 0; i < tile.count; ++i) {
                     if (shared[i] == 0) continue;
                     const std::size_t place = q * bins + distances[i];
                     gains[place] += shared[i];
                     exponential_gains[place] += std::ldexp(1.0, static_cast<int>(shared[i])) - 1.0;
                   }
                 });
}

// Average precision of a block of queries, in two passes: the first computes histograms, which give the rank at which
// each distance begins; the second visits items in order of the index and assigns ranks.
template <class Distance>
void score_block(const Kernels& kernels, const LabelledCodes& data, Range block, std::size_t k, Normalizer normalizer,
                 CancellationPoint& cancellation_point, double* scores) {
  const std::size_t bins = data.database.codes.bins();
  const Range all{0, data.database.codes.count};
  const DistanceCounts counts = count_block(kernels, data, block, all, cancellation_point);

  struct Place {
    std::uint32_t position;  // rank - 1 of the next item at this distance
    std::uint32_t relevant;  // relevant items before that rank
  };
  std::vector<Place> places(block.count() * bins);
  std::vector<double> sums(block.count(), 0.0);
  std::vector<std::size_t> retrieved(block.count(), 0);
  for (std::size_t q = 0; q < block.count(); ++q) {
    Place next{0, 0};
    for (std::size_t d = 0; d < bins; ++d) {
      places[q * bins + d] = next;
      next.position += counts.items[q * bins + d];
      next.relevant += counts.relevant[q * bins + d];
    }
  }
  std::vector<std::uint64_t> scratch;
  walk<Distance>(kernels, data, block, all, cancellation_point,
                 [&](std::size_t q, const Tile& tile, const Distance* distances, const ClassBitmaps& bitmaps,
                     const WidthKernels<Distance>&) {
                   const std::size_t query = block.begin + q;
                   const std::uint64_t* relevant =
                       bitmaps.relevant(data.queries.labels.begin(query), data.queries.labels.end(query), scratch);
                   Place* place = places.data() + q * bins;
                   for (std::size_t i = 0; i < tile.count; ++i) {
                     Place& here = place[distances[i]];
                     ++here.position;
                     if (relevant == nullptr || ((relevant[i / 64] >> (i % 64)) & 1) == 0) continue;
                     ++here.relevant;
                     if (here.position > k) continue;
                     sums[q] += static_cast<double>(here.relevant) / static_cast<double>(here.position);
                     ++retrieved[q];
                   }
                 });
  for (std::size_t q = 0; q < block.count(); ++q) {
    std::size_t relevant = 0;
    for (std::size_t d = 0; d < bins; ++d) relevant += counts.relevant[q * bins + d];
    scores[block.begin + q] = normalized(sums[q], normalizer, retrieved[q], relevant, k);
  }
}

}  // namespace

void relevance_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads,
                          Cancellation& cancellation, std::int64_t* items, std::int64_t* relevant) {
  const std::size_t bins = data.database.codes.bins();
  const Plan plan = plan_work(data.queries.codes.count, data.database.codes.count, threads, queries_per_counter);
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
                     double* gains, double* exponential_gains) {
  // Floating-point sums must not depend on the number of threads: each query is summed in database order.
  const std::size_t bins = data.database.codes.bins();
  const Plan plan = plan_queries(data.queries.codes.count, data.database.codes.count, threads, queries_per_block);
  parallel_for(plan.queries.size(), plan.threads, cancellation,
               [&](std::size_t task, CancellationPoint& cancellation_point) {
                 const Range block = plan.queries[task];
                 with_distance_type(data.database.codes.width, [&](auto distance) {
                   for (const Range range : plan.ranges) {
                     gain_block<decltype(distance)>(kernels, data, block, range, cancellation_point,
                                                    gains + block.begin * bins, exponential_gains + block.begin * bins);
                   }
                 });
               });
}

void average_precision_by_index(const Kernels& kernels, const LabelledCodes& data, std::size_t k, Normalizer normalizer,
                                std::size_t threads, Cancellation& cancellation, double* scores) {
  const Plan plan = plan_queries(data.queries.codes.count, data.database.codes.count, threads, queries_per_block);
  parallel_for(
      plan.queries.size(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
        with_distance_type(data.database.codes.width, [&](auto distance) {
          score_block<decltype(distance)>(kernels, data, plan.queries[task], k, normalizer, cancellation_point, scores);
        });
      });
}

}  // namespace vtsearch
