#include "hamming/diameters.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "hamming/counting_sort.h"
#include "hamming/hit_list.h"
#include "hamming/row_scan.h"
#include "hamming/scanner.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Groups up to this size are compared code by code, larger ones in blocks of queries by all threads.
constexpr std::size_t small_group = 2048;

// Items of the small groups of a task, approximately.
constexpr std::size_t items_per_task = 16384;

// The largest distance so far between what bounds it from below and above.
class Bounds {
 public:
  Bounds(std::size_t upper, std::optional<std::size_t> limit) : upper_(upper), limit_(limit) {}

  std::size_t found() const { return found_.load(std::memory_order_relaxed); }
  void lower_upper(std::size_t upper) { upper_ = std::min(upper, upper_); }

  // Returns whether the distance is larger than all before.
  bool raise(std::size_t distance) {
    std::size_t before = found();
    while (before < distance) {
      if (found_.compare_exchange_weak(before, distance, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  // Whether no larger distance is there, or of interest.
  bool are_enough() const {
    const std::size_t distance = found();
    return distance >= upper_ || (limit_ && (distance > *limit_ || upper_ <= *limit_));
  }

 private:
  std::size_t upper_;
  std::optional<std::size_t> limit_;
  std::atomic<std::size_t> found_{0};
};

// Compares each code of a small group with those behind it.
void compare_all(const Kernels& kernels, const GroupCodes& group, Bounds& bounds,
                 CancellationPoint& cancellation_point) {
  const CodeView codes = group.view();
  RowScan rows(kernels, codes.width, codes.count);
  std::vector<std::uint8_t> inverse(codes.width);
  const std::size_t farthest = group.bins() - 1;
  for (std::size_t i = 0; i + 1 < codes.count && !bounds.are_enough(); ++i, cancellation_point()) {
    group.invert(i, inverse.data());
    const std::size_t found =
        rows.find(inverse.data(), codes.code(i + 1), codes.count - i - 1, farthest - bounds.found());
    if (found == 0) continue;
    bounds.raise(farthest - *std::min_element(rows.distances(), rows.distances() + found));
  }
}

// The distance of each code to one with the more frequent value of every bit.
std::vector<std::uint16_t> distances_from_center(const Kernels& kernels, const GroupCodes& group,
                                                 CancellationPoint& cancellation_point) {
  constexpr std::size_t piece = 4096;
  const CodeView codes = group.view();
  std::vector<std::uint32_t> ones(8 * codes.width);
  for (std::size_t i = 0; i < codes.count; ++i) {
    if (i % piece == 0) cancellation_point();
    for (std::size_t b = 0; b < ones.size(); ++b) ones[b] += (codes.code(i)[b / 8] >> (b % 8)) & 1u;
  }
  std::vector<std::uint8_t> center(codes.width);
  for (std::size_t b = 0; b < ones.size(); ++b) {
    if (ones[b] > codes.count / 2) center[b / 8] = static_cast<std::uint8_t>(center[b / 8] | 1u << (b % 8));
  }
  RowScan rows(kernels, codes.width, piece);
  std::vector<std::uint16_t> all(codes.count);
  for (std::size_t begin = 0; begin < codes.count; begin += piece, cancellation_point()) {
    const std::size_t count = std::min(piece, codes.count - begin);
    rows.find(center.data(), codes.code(begin), count, group.bins());
    std::copy_n(rows.distances(), count, all.data() + begin);
  }
  return all;
}

// The diameter of a large group. Its codes are sorted by their distance from a center, the farthest first: two codes
// are no farther from each other than the sum of these, so that only the first ones have to be compared.
class DiameterSearch {
 public:
  DiameterSearch(const Kernels& kernels, GroupCodes group, Bounds& bounds, CancellationPoint& cancellation_point)
      : kernels_(kernels), group_(std::move(group)), bounds_(bounds) {
    const std::vector<std::uint16_t> distances = distances_from_center(kernels, group_, cancellation_point);
    std::vector<std::int32_t> nearness(distances.size());
    std::vector<std::uint32_t> order(distances.size());
    const std::size_t most = group_.bins() - 1;
    sort_by_distance(
        order.size(), group_.bins(), order.size(), [&](std::size_t i) { return most - distances[i]; },
        [](std::size_t i) { return static_cast<std::uint32_t>(i); }, nearness.data(), order.data());
    group_.reorder(order);
    from_center_.reserve(order.size());
    for (const std::uint32_t i : order) from_center_.push_back(distances[i]);
    bounds_.lower_upper(std::size_t{from_center_[0]} + from_center_[1]);
    const std::size_t opposite = compare({0, 1}, all(), cancellation_point);
    compare({opposite, opposite + 1}, all(), cancellation_point);
  }

  std::size_t blocks() const { return (from_center_.size() + queries_per_block - 1) / queries_per_block; }

  Range block(std::size_t number) const {
    const std::size_t begin = number * queries_per_block;
    return {begin, std::min(begin + queries_per_block, from_center_.size())};
  }

  // Compares a block of codes with all behind the first of them that may be farther than any two so far. Returns the
  // number of pairs.
  std::size_t compare_with_others(Range queries, CancellationPoint& cancellation_point) {
    const std::size_t found = bounds_.found(), first = from_center_[queries.begin];
    const auto end = std::partition_point(from_center_.begin(), from_center_.end(),
                                          [&](std::size_t distance) { return first + distance > found; });
    const Range others{queries.begin, static_cast<std::size_t>(end - from_center_.begin())};
    if (others.end <= others.begin || bounds_.are_enough()) return 0;
    compare(queries, others, cancellation_point);
    return queries.count() * others.count();
  }

 private:
  Range all() const { return {0, from_center_.size()}; }

  // Returns the last code that was farther from one of the queries than any two before.
  std::size_t compare(Range queries, Range others, CancellationPoint& cancellation_point) {
    const CodeView codes = group_.view();
    std::vector<std::uint8_t> inverse(queries.count() * codes.width);
    for (std::size_t q = 0; q < queries.count(); ++q) {
      group_.invert(queries.begin + q, inverse.data() + q * codes.width);
    }
    Scanner scanner(kernels_, CodeView{inverse.data(), queries.count(), codes.width}, others.count(), {}, others.begin);
    TileReader reader = scanner.tiles(codes, {}, others, others.count());
    HitLists hits(queries.count());
    const std::size_t most = group_.bins() - 1;
    std::size_t farthest = 0, threshold = 0;
    for (Tile tile; !bounds_.are_enough() && reader.next(tile); cancellation_point()) {
      if (const std::size_t other = most - bounds_.found(); other != threshold) {
        for (std::size_t q = 0; q < queries.count(); ++q) scanner.set_threshold(q, other);
        threshold = other;
      }
      scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
        const std::uint16_t* distances = hits[q].distances();
        const auto nearest = static_cast<std::size_t>(std::min_element(distances, distances + count) - distances);
        if (bounds_.raise(most - distances[nearest])) farthest = others.begin + hits[q].items()[nearest];
        hits[q].clear();
      });
    }
    return farthest;
  }

  const Kernels& kernels_;
  GroupCodes group_;
  Bounds& bounds_;
  std::vector<std::uint16_t> from_center_;
};

// The diameter of a group that is not large.
std::size_t small_diameter(const Kernels& kernels, const GroupCodes& group, std::optional<std::size_t> limit,
                           CancellationPoint& cancellation_point) {
  const std::size_t varying = group.varying_bits();
  if (group.count() <= 2) return varying;
  Bounds bounds(varying, limit);
  compare_all(kernels, group, bounds, cancellation_point);
  return bounds.found();
}

std::size_t large_diameter(const Kernels& kernels, GroupReader& reader, std::size_t number,
                           std::optional<std::size_t> limit, std::size_t threads, Cancellation& cancellation) {
  CancellationPoint here(cancellation, 0);
  GroupCodes group = reader.read(number, here);
  Bounds bounds(group.varying_bits(), limit);
  if (!bounds.are_enough()) group.remove_repeats(here);
  reader.done(group.numbers().size() - group.count(), 0, here);
  if (bounds.are_enough() || group.count() <= small_group) {
    compare_all(kernels, group, bounds, here);
    reader.done(group.count(), 0, here);
    return bounds.found();
  }
  DiameterSearch search(kernels, std::move(group), bounds, here);
  parallel_for(search.blocks(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = search.block(task);
    reader.done(block.count(), search.compare_with_others(block, cancellation_point), cancellation_point);
  });
  return bounds.found();
}

}  // namespace

void diameters(const Kernels& kernels, GroupReader& reader, const GroupView& groups, std::optional<std::size_t> limit,
               std::size_t threads, Cancellation& cancellation, std::int64_t* out) {
  const std::vector<Range> tasks = runs_of(
      groups.count, items_per_task, [&](std::size_t g) { return groups.size(g) <= small_group ? groups.size(g) : 0; });
  parallel_for(tasks.size(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    for (std::size_t g = tasks[task].begin; g < tasks[task].end; ++g) {
      if (groups.size(g) > small_group) continue;
      const GroupCodes group = reader.read(g, cancellation_point);
      out[g] = static_cast<std::int64_t>(small_diameter(kernels, group, limit, cancellation_point));
      reader.done(groups.size(g), groups.size(g) * groups.size(g) / 2, cancellation_point);
    }
  });
  for (std::size_t g = 0; g < groups.count; ++g) {
    if (groups.size(g) <= small_group) continue;
    out[g] = static_cast<std::int64_t>(large_diameter(kernels, reader, g, limit, threads, cancellation));
  }
}

}  // namespace vtsearch
