#include "hamming/rank.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "hamming/select.h"
#include "hamming/tiles.h"

namespace vtsearch {
namespace {

// Rows of results that the caller owns, `columns` long.
struct Results {
  std::int32_t* distances;
  std::int64_t* indices;
  std::size_t columns;

  Results from_row(std::size_t row) const { return {distances + row * columns, indices + row * columns, columns}; }
};

// Bytes of selections that one block of queries may keep: they are touched in turn at every tile.
constexpr std::size_t selection_bytes = 1 << 20;

// From this share of the items on, counting all distances first beats selecting as they come.
constexpr std::size_t sorted_share = 32;

bool sorts(std::size_t k, std::size_t items) {
  return k * sorted_share >= items;
}

// What a range is sampled with, to guess how far the k-th item lies: a few runs of neighbours, spread evenly, because
// databases are often sorted by class.
constexpr std::size_t sample_runs = 16;
constexpr std::size_t sample_run_items = 128;
constexpr std::size_t fewest_items_per_sample = 16;  // in a shorter range a sample does not pay

// For each query a distance that more than k items of the range probably lie below; bins where there is no telling.
template <class Distance>
std::vector<std::size_t> guess_ceilings(TileDistances<Distance>& tile_distances, std::size_t queries, CodeView database,
                                        MaskView mask, Range range, std::size_t k) {
  const std::size_t bins = database.bins();
  std::vector<std::size_t> ceilings(queries, bins);
  const std::size_t items = allowed_items(mask, range);
  if (items < fewest_items_per_sample * sample_runs * sample_run_items) return ceilings;
  std::vector<std::uint32_t> counts(queries * bins);
  std::size_t sampled = 0;
  for (std::size_t run = 0; run < sample_runs; ++run) {
    const std::size_t begin = range.begin + range.count() / sample_runs * run;
    TileReader reader(database, mask, {begin, begin + sample_run_items});
    for (Tile tile; reader.next(tile); sampled += tile.count) {
      tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
        for (std::size_t i = 0; i < tile.count; ++i) ++counts[q * bins + distances[i]];
      });
    }
  }
  // Of k items the sample holds a Poisson-like number; a few deviations more, and it is rarely too low a guess.
  const double expected = static_cast<double>(k) * static_cast<double>(sampled) / static_cast<double>(items);
  const auto needed = static_cast<std::size_t>(expected + 3.0 * std::sqrt(expected) + 4.0);
  for (std::size_t q = 0; q < queries; ++q) {
    std::size_t sum = 0;
    for (std::size_t d = 0; d < bins && ceilings[q] == bins; ++d) {
      sum += counts[q * bins + d];
      if (sum >= needed) ceilings[q] = d + 1;
    }
  }
  return ceilings;
}

// Selects with the given ceilings; returns the queries for which they were too low, whose rows are then not filled.
template <class Distance>
std::vector<std::size_t> select_below(TileDistances<Distance>& tile_distances, const std::vector<std::size_t>& ceilings,
                                      CodeView database, MaskView mask, Range range, std::size_t k,
                                      Checkpoint& checkpoint, Results results) {
  const std::size_t tile_items = items_per_tile(padded_width(database.width));
  std::vector<Selection<Distance>> selections;
  selections.reserve(ceilings.size());
  for (const std::size_t ceiling : ceilings) selections.emplace_back(k, database.bins(), ceiling, tile_items);
  std::vector<std::uint32_t> positions(tile_items + items_per_group);
  TileReader reader(database, mask, range);
  for (Tile tile; reader.next(tile); checkpoint()) {
    tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
      selections[q].add(tile_distances.kernels(), tile, distances, positions.data());
    });
  }
  std::vector<std::size_t> missed;
  for (std::size_t q = 0; q < selections.size(); ++q) {
    const Results row = results.from_row(q);
    if (selections[q].complete()) {
      selections[q].finish(range.begin, row.distances, row.indices);
    } else {
      missed.push_back(q);
    }
  }
  return missed;
}

template <class Distance>
void select_range(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range,
                  std::size_t k, Checkpoint& checkpoint, Results results) {
  TileDistances<Distance> tile_distances(kernels, queries);
  const auto ceilings = guess_ceilings(tile_distances, queries.count, database, mask, range, k);
  const auto missed = select_below(tile_distances, ceilings, database, mask, range, k, checkpoint, results);
  for (const std::size_t q : missed) {
    TileDistances<Distance> again(kernels, {queries.code(q), 1, queries.width});
    select_below(again, {database.bins()}, database, mask, range, k, checkpoint, results.from_row(q));
  }
}

// The first k of one row of distances, by a counting sort that looks only at what can be among them.
template <class Distance>
class RowSorter {
 public:
  RowSorter(const WidthKernels<Distance>& kernels, std::size_t bins)
      : kernels_(kernels), counts_(bins), offsets_(bins + 1), positions_(chunk + items_per_group) {}

  // `number(i)` is the index of the item at place i of the row.
  template <class Number>
  void sort(const Distance* row, std::size_t items, std::size_t k, Number&& number, Results out) {
    std::fill(counts_.begin(), counts_.end(), 0u);
    kernels_.count(row, items, counts_.size(), counts_.data());
    std::size_t d = 0;
    for (offsets_[0] = 0; offsets_[d] < k; ++d) {
      offsets_[d + 1] = offsets_[d] + counts_[d];
      std::fill(out.distances + offsets_[d], out.distances + std::min(offsets_[d + 1], k),
                static_cast<std::int32_t>(d));
    }
    for (std::size_t first = 0; first < items; first += chunk) {
      const std::size_t found =
          kernels_.scan(row + first, std::min(chunk, items - first), static_cast<Distance>(d), positions_.data());
      for (std::size_t i = 0; i < found; ++i) {
        const std::size_t item = first + positions_[i];
        const std::size_t place = offsets_[row[item]]++;
        if (place < k) out.indices[place] = number(item);
      }
    }
  }

 private:
  static constexpr std::size_t chunk = 4096;

  WidthKernels<Distance> kernels_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::size_t> offsets_;
  std::vector<std::uint32_t> positions_;
};

// Keeps the distances of a whole range, for as many queries as one kernel call takes, and sorts them.
template <class Distance>
void sort_range(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range, std::size_t k,
                Checkpoint& checkpoint, Results results) {
  const std::size_t items = allowed_items(mask, range);
  std::vector<Distance> rows(std::min(queries_per_call, queries.count) * items);
  std::vector<std::uint32_t> numbers(mask.data == nullptr ? 0 : items);
  const auto number = [&](std::size_t i) {
    return static_cast<std::int64_t>(range.begin + (mask.data == nullptr ? i : numbers[i]));
  };
  for (std::size_t first = 0; first < queries.count; first += queries_per_call) {
    const CodeView block{queries.code(first), std::min(queries_per_call, queries.count - first), queries.width};
    TileDistances<Distance> tile_distances(kernels, block);
    RowSorter<Distance> sorter(tile_distances.kernels(), database.bins());
    TileReader reader(database, mask, range);
    std::size_t filled = 0;
    for (Tile tile; reader.next(tile); checkpoint()) {
      if (tile.items != nullptr) std::copy_n(tile.items, tile.count, numbers.begin() + std::ptrdiff_t(filled));
      tile_distances.for_each_query(tile, [&](std::size_t q, const Distance* distances) {
        std::copy_n(distances, tile.count, rows.begin() + std::ptrdiff_t(q * items + filled));
      });
      filled += tile.count;
    }
    for (std::size_t q = 0; q < block.count; ++q, checkpoint()) {
      sorter.sort(rows.data() + q * items, items, k, number, results.from_row(first + q));
    }
  }
}

void rank_range(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range, std::size_t k,
                Checkpoint& checkpoint, Results results) {
  with_distance_type(database.width, [&](auto distance) {
    using Distance = decltype(distance);
    const auto work = sorts(k, allowed_items(mask, range)) ? sort_range<Distance> : select_range<Distance>;
    work(kernels, queries, database, mask, range, k, checkpoint, results);
  });
}

// What each range found for the queries, put together: the ranges stand in order of the index, so a counting sort by
// distance that takes them in turn keeps the order.
class PartialResults {
 public:
  PartialResults(const Plan& plan, std::size_t queries, CodeView database, MaskView mask, std::size_t k)
      : bins_(database.bins()) {
    for (Range range : plan.ranges) {
      Part& part = parts_.emplace_back();
      part.columns = std::min(k, allowed_items(mask, range));
      part.distances.resize(queries * part.columns);
      part.indices.resize(queries * part.columns);
    }
  }

  Results of_range(std::size_t number) {
    Part& part = parts_[number];
    return {part.distances.data(), part.indices.data(), part.columns};
  }

  void merge(std::size_t q, Results row) const {
    std::vector<std::size_t> offsets(bins_ + 1, 0);
    for_each(q, [&](std::int32_t distance, std::int64_t) { ++offsets[static_cast<std::size_t>(distance) + 1]; });
    for (std::size_t d = 0; d < bins_; ++d) offsets[d + 1] += offsets[d];
    for_each(q, [&](std::int32_t distance, std::int64_t index) {
      const std::size_t place = offsets[static_cast<std::size_t>(distance)]++;
      if (place >= row.columns) return;
      row.distances[place] = distance;
      row.indices[place] = index;
    });
  }

 private:
  struct Part {
    std::size_t columns;
    std::vector<std::int32_t> distances;
    std::vector<std::int64_t> indices;
  };

  template <class Visit>
  void for_each(std::size_t q, Visit&& visit) const {
    for (const Part& part : parts_) {
      for (std::size_t i = q * part.columns; i < (q + 1) * part.columns; ++i) visit(part.distances[i], part.indices[i]);
    }
  }

  std::vector<Part> parts_;
  std::size_t bins_;
};

}  // namespace

std::size_t rank_columns(CodeView database, std::size_t k, MaskView mask) {
  return std::min(k, allowed_items(mask, {0, database.count}));
}

void rank(const Kernels& kernels, CodeView queries, CodeView database, std::size_t columns, MaskView mask,
          std::size_t threads, Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices) {
  if (columns == 0 || queries.count == 0) return;
  const std::size_t bytes_per_query = columns * (sizeof(std::uint32_t) + sizeof(std::uint16_t)) + database.bins() * 8;
  const Plan plan = plan_work(queries.count, database.count, threads, selection_bytes / bytes_per_query);
  const Results all{distances, indices, columns};
  const auto block_codes = [&](Range block) {
    return CodeView{queries.code(block.begin), block.count(), queries.width};
  };
  if (plan.ranges.size() == 1) {
    parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, Checkpoint& checkpoint) {
      const Range block = plan.query_block(task);
      rank_range(kernels, block_codes(block), database, mask, plan.range(task), columns, checkpoint,
                 all.from_row(block.begin));
    });
    return;
  }
  PartialResults partial(plan, queries.count, database, mask, columns);
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, Checkpoint& checkpoint) {
    const Range block = plan.query_block(task);
    const Results results = partial.of_range(plan.range_number(task));
    if (results.columns == 0) return;
    rank_range(kernels, block_codes(block), database, mask, plan.range(task), results.columns, checkpoint,
               results.from_row(block.begin));
  });
  for (std::size_t q = 0; q < queries.count; ++q) partial.merge(q, all.from_row(q));
}

}  // namespace vtsearch
