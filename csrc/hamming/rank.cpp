#include "hamming/rank.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "hamming/counter.h"
#include "hamming/scanner.h"
#include "hamming/select.h"
#include "hamming/sort.h"
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
constexpr std::size_t selection_bytes = 4 << 20;

// From this share of the items on, sorting all of them beats selecting as they come.
constexpr std::size_t sorted_share = 4;

bool sorts(std::size_t k, std::size_t items) {
  return k * sorted_share >= items;
}

// A sample of a range, to guess how far the k-th item lies: single items, spread over it, because databases are often
// sorted. More of them for a larger k, where each item that passes in vain costs more than a better guess.
constexpr std::size_t most_sampled_blocks = 8;
constexpr std::size_t k_per_sampled_block = 64;
constexpr std::size_t fewest_items_per_sampled = 4;  // in a shorter range a sample does not pay

std::size_t sample_size(std::size_t items, std::size_t k) {
  const std::size_t blocks = std::clamp<std::size_t>(k / k_per_sampled_block, 1, most_sampled_blocks);
  return std::min(blocks * block_items, items / fewest_items_per_sampled / block_items * block_items);
}

// Codes from all over a range, one after the other, padded. Those that the mask forbids are left out.
std::vector<std::uint8_t> sample(CodeView database, MaskView mask, Range range, std::size_t size) {
  const std::size_t padded = padded_width(database.width);
  const std::size_t step = range.count() / size;
  std::vector<std::uint8_t> codes;
  codes.reserve(size * padded);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t item =
        range.begin + i * step + i * 2654435761u % step;  // no fixed distance: databases have periods
    if (!mask.allows(item)) continue;
    codes.insert(codes.end(), database.code(item), database.code(item) + database.width);
    codes.resize(codes.size() + padded - database.width);
  }
  return codes;
}

// For each query a distance that more than k items of the range probably lie below; bins where there is no telling.
std::vector<std::size_t> guess_ceilings(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask,
                                        Range range, std::size_t k) {
  const std::size_t bins = database.bins();
  std::vector<std::size_t> ceilings(queries.count, bins);
  const std::size_t items = allowed_items(mask, range);
  const std::size_t size = sample_size(range.count(), k);
  if (size == 0) return ceilings;
  const auto codes = sample(database, mask, range, size);
  const std::size_t padded = padded_width(database.width), sampled = codes.size() / padded;
  Counter counter(kernels, queries);
  for (std::size_t first = 0; first < sampled; first += block_items) {
    counter.add({codes.data() + first * padded, std::min(block_items, sampled - first), nullptr, 0});
  }
  const DistanceCounts counts = counter.finish();
  // Of k items the sample holds a Poisson-like number; a few deviations more, and it is rarely too low a guess.
  const double expected = static_cast<double>(k) * static_cast<double>(sampled) / static_cast<double>(items);
  const auto needed = static_cast<std::size_t>(expected + 3.0 * std::sqrt(expected) + 4.0);
  for (std::size_t q = 0; q < queries.count; ++q) {
    std::size_t sum = 0;
    for (std::size_t d = 0; d < bins && ceilings[q] == bins; ++d) {
      sum += counts.items[q * bins + d];
      if (sum >= needed) ceilings[q] = d + 1;
    }
  }
  return ceilings;
}

// Selects with the given ceilings; returns the queries for which they were too low, whose rows are then not filled.
std::vector<std::size_t> select_below(const Kernels& kernels, CodeView queries,
                                      const std::vector<std::size_t>& ceilings, CodeView database, MaskView mask,
                                      Range range, std::size_t k, Checkpoint& checkpoint, Results results) {
  Scanner scanner(kernels, queries);
  HitLists hits(queries.count);
  std::vector<Selection> selections;
  selections.reserve(queries.count);
  for (std::size_t q = 0; q < queries.count; ++q) {
    selections.emplace_back(k, database.bins(), ceilings[q]);
    hits[q].reserve(2 * k + Selection::slack / 4);
    scanner.set_threshold(q, ceilings[q]);
  }
  TileReader reader(database, mask, range);
  for (Tile tile; reader.next(tile); checkpoint()) {
    scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
      if (selections[q].add(hits[q], count)) scanner.set_threshold(q, selections[q].threshold());
    });
  }
  std::vector<std::size_t> missed;
  for (std::size_t q = 0; q < queries.count; ++q) {
    const Results row = results.from_row(q);
    if (selections[q].complete()) {
      selections[q].finish(hits[q], range.begin, row.distances, row.indices);
    } else {
      missed.push_back(q);
    }
  }
  return missed;
}

void select_range(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range,
                  std::size_t k, Checkpoint& checkpoint, Results results) {
  const auto ceilings = guess_ceilings(kernels, queries, database, mask, range, k);
  const auto missed = select_below(kernels, queries, ceilings, database, mask, range, k, checkpoint, results);
  for (const std::size_t q : missed) {
    const CodeView query{queries.code(q), 1, queries.width};
    select_below(kernels, query, {database.bins()}, database, mask, range, k, checkpoint, results.from_row(q));
  }
}

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
      const Distance* row = rows.data() + q * items;
      const Results out = results.from_row(first + q);
      sort_by_distance(
          items, database.bins(), k, [&](std::size_t i) { return row[i]; }, number, out.distances, out.indices);
    }
  }
}

void rank_range(const Kernels& kernels, CodeView queries, CodeView database, MaskView mask, Range range, std::size_t k,
                Checkpoint& checkpoint, Results results) {
  if (!sorts(k, allowed_items(mask, range))) {
    return select_range(kernels, queries, database, mask, range, k, checkpoint, results);
  }
  with_distance_type(database.width, [&](auto distance) {
    sort_range<decltype(distance)>(kernels, queries, database, mask, range, k, checkpoint, results);
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
