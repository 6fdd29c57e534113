#include "hamming/nearest_below.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <vector>

#include "compiler.h"
#include "hamming/aligned_array.h"
#include "hamming/hit_list.h"
#include "hamming/padding.h"
#include "hamming/scanner.h"
#include "hamming/substrings.h"
#include "hamming/tile_reader.h"
#include "hamming/width_kernels.h"

namespace vtsearch {
namespace {

// Of a block of items, for which tables are made one after the other: their memory is limited, and so are cache misses.
constexpr std::size_t most_items = std::size_t{1} << 22;
constexpr std::size_t most_bytes = std::size_t{1} << 26;

// Longer substrings get keys of their first bits only.
constexpr unsigned most_key_bits = 22;

constexpr std::size_t queries_per_task = 1024;

// Times in units of a comparison of a pair in a scan of the whole database.
constexpr double pair_in_bucket = 3.0;
constexpr double item_of_table = 1000.0;
constexpr double query_of_table = 2000.0;

struct Nearest {
  std::int32_t distance;  // of an item; or the limit
  std::int64_t item;      // -1 for none

  void take(std::int32_t other_distance, std::int64_t other) {
    if (other_distance > distance || (other_distance == distance && (item < 0 || other > item))) return;
    *this = {other_distance, other};
  }

  // The threshold for items from `first` on: at the same distance they would have to precede the item.
  std::size_t threshold(std::int64_t first) const {
    return static_cast<std::size_t>(distance) + (item > first ? 1 : 0);
  }
};

// Compares the queries of a task with the items of their buckets.
class BucketSearch {
 public:
  BucketSearch(const Kernels& kernels, CodeView queries)
      : queries_(queries),
        padded_(padded_width(queries.width)),
        scan_(kernels.scan[width_form(padded_)]),
        query_(padded_),
        keys_(queries.count),
        positions_(piece + items_per_group),
        distances_(piece + items_per_group) {}

  // Table number `number` of the items from `first` on, after those before it: items within a distance of less than
  // that number have been found.
  void search(const SubstringTable& table, std::size_t number, std::int64_t first, Nearest* nearest,
              CancellationPoint& cancellation_point) {
    for (std::size_t q = 0; q < queries_.count; ++q) {
      keys_[q] = table.part.key(queries_.code(q));
      prefetch(table.begins + keys_[q]);
    }
    for (std::size_t q = 0; q < queries_.count; ++q, cancellation_point()) {
      if (q + buckets_ahead < queries_.count) {
        prefetch(table.codes + table.begins[keys_[q + buckets_ahead]] * padded_);
      }
      const std::int64_t farthest = nearest[q].distance - (nearest[q].item < first ? 1 : 0);
      if (farthest < static_cast<std::int64_t>(number)) continue;
      search_bucket(table, table.bucket(keys_[q]), queries_.code(q), first, nearest[q]);
    }
  }

 private:
  static constexpr std::size_t piece = 512;
  static constexpr std::size_t buckets_ahead = 8;

  void search_bucket(const SubstringTable& table, Range bucket, const std::uint8_t* query, std::int64_t first,
                     Nearest& nearest) {
    std::copy_n(query, queries_.width, query_.data());
    for (std::size_t begin = bucket.begin; begin < bucket.end; begin += piece) {
      const std::size_t count = std::min(piece, bucket.end - begin);
      const std::uint32_t* items = table.items + begin;
      const std::size_t found = scan_(query_.data(), table.codes + begin * padded_, count, padded_,
                                      nearest.threshold(first + *items), positions_.data(), distances_.data());
      for (std::size_t i = 0; i < found; ++i) {
        nearest.take(distances_.data()[i], first + items[positions_.data()[i]]);
      }
    }
  }

  CodeView queries_;
  std::size_t padded_;
  ScanKernel scan_;
  std::vector<std::uint8_t> query_;
  std::vector<std::uint32_t> keys_;
  AlignedArray<std::uint32_t> positions_;
  AlignedArray<std::uint16_t> distances_;
};

// The nearest items of all queries so far.
class NearestSearch {
 public:
  NearestSearch(const Kernels& kernels, CodeView queries, bool may_scan, std::size_t threads,
                Cancellation& cancellation, std::vector<Nearest> limits)
      : kernels_(kernels),
        queries_(queries),
        may_scan_(may_scan),
        threads_(threads),
        cancellation_(cancellation),
        nearest_(std::move(limits)) {}

  // Goes on with items that follow all those before.
  void search(CodeView items, std::size_t first) {
    const std::vector<Substring> parts = parts_that_pay(items);
    if (parts.empty()) return scan(items, first);
    CancellationPoint here(cancellation_, 0);
    std::vector<std::uint32_t> order(items.count);
    AlignedArray<std::uint8_t> codes(items.count * padded_width(items.width));
    for (std::size_t t = 0; t < parts.size(); ++t) {
      std::vector<std::uint32_t> begins(parts[t].buckets() + 1);
      build_table({items}, parts[t], here, begins.data(), order.data(), codes.data());
      search_table({parts[t], begins.data(), order.data(), codes.data()}, t, first);
    }
  }

  const std::vector<Nearest>& nearest() const { return nearest_; }

 private:
  // The substrings for tables of the items, one more than the largest distance of use; none if a scan takes less time.
  std::vector<Substring> parts_that_pay(CodeView items) {
    std::int32_t tables = 0;
    for (const Nearest& each : nearest_) tables = std::max(tables, each.distance);
    const std::size_t bits = 8 * items.width;
    if (tables == 0 || static_cast<std::size_t>(tables) > bits) return {};
    const auto useful_bits = static_cast<unsigned>(std::bit_width(items.count));
    std::vector<Substring> parts =
        partition(items.width, bits, static_cast<std::size_t>(tables), std::min(useful_bits, most_key_bits));
    if (may_scan_ && !pay(items, parts)) parts.clear();
    return parts;
  }

  bool pay(CodeView items, const std::vector<Substring>& parts) {
    const auto count = static_cast<double>(items.count), queries = static_cast<double>(queries_.count);
    double time = static_cast<double>(parts.size()) * (count * item_of_table + queries * query_of_table);
    CancellationPoint here(cancellation_, 0);
    for (const Substring& part : parts) {
      if (time > count * queries) return false;
      time += pairs(items, part, here) * pair_in_bucket;
    }
    return time <= count * queries;
  }

  // The number of pairs of a query and an item with its key.
  double pairs(CodeView items, const Substring& part, CancellationPoint& cancellation_point) const {
    std::vector<std::uint32_t> sizes(part.buckets());
    for (std::size_t i = 0; i < items.count; ++i) {
      if (i % items_per_check == 0) cancellation_point();
      ++sizes[part.key(items.code(i))];
    }
    double sum = 0.0;
    for (std::size_t q = 0; q < queries_.count; ++q) {
      if (q % items_per_check == 0) cancellation_point();
      sum += sizes[part.key(queries_.code(q))];
    }
    return sum;
  }

  void search_table(const SubstringTable& table, std::size_t number, std::size_t first) {
    const std::size_t tasks = (queries_.count + queries_per_task - 1) / queries_per_task;
    parallel_for(tasks, threads_, cancellation_, [&](std::size_t task, CancellationPoint& cancellation_point) {
      const std::size_t begin = task * queries_per_task;
      const Range block{begin, std::min(begin + queries_per_task, queries_.count)};
      BucketSearch(kernels_, queries_.part(block))
          .search(table, number, static_cast<std::int64_t>(first), nearest_.data() + begin, cancellation_point);
    });
  }

  void scan(CodeView items, std::size_t first) {
    const std::vector<Nearest> before = nearest_;
    const Plan plan = plan_work(queries_.count, items.count, threads_, queries_per_block);
    std::mutex mutex;
    parallel_for(plan.tasks(), plan.threads, cancellation_,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   const Range block = plan.query_block(task), range = plan.range(task);
                   std::vector<Nearest> here(before.data() + block.begin, before.data() + block.end);
                   scan_range(queries_.part(block), items, range, first, here, cancellation_point);
                   const std::lock_guard lock(mutex);
                   for (std::size_t q = 0; q < here.size(); ++q) {
                     nearest_[block.begin + q].take(here[q].distance, here[q].item);
                   }
                 });
  }

  // Thresholds are lowered to the distance of the nearest item so far, as later items lose ties.
  void scan_range(CodeView queries, CodeView items, Range range, std::size_t first, std::vector<Nearest>& nearest,
                  CancellationPoint& cancellation_point) const {
    Scanner scanner(kernels_, queries, range.count(), {}, range.begin);
    for (std::size_t q = 0; q < queries.count; ++q) {
      scanner.set_threshold(q, static_cast<std::size_t>(nearest[q].distance));
    }
    HitLists hits(queries.count);
    TileReader reader = scanner.tiles(items, {}, range, range.count());
    for (Tile tile; reader.next(tile); cancellation_point()) {
      scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
        const std::uint16_t* distances = hits[q].distances();
        const auto best = static_cast<std::size_t>(std::min_element(distances, distances + count) - distances);
        nearest[q] = {distances[best], static_cast<std::int64_t>(first + range.begin + hits[q].items()[best])};
        scanner.set_threshold(q, distances[best]);
        hits[q].clear();
      });
    }
  }

  const Kernels& kernels_;
  CodeView queries_;
  bool may_scan_;
  std::size_t threads_;
  Cancellation& cancellation_;
  std::vector<Nearest> nearest_;
};

}  // namespace

void nearest_below(const Kernels& kernels, CodeView queries, CodeView database, bool may_scan, std::size_t threads,
                   Cancellation& cancellation, std::int32_t* distances, std::int64_t* indices) {
  std::vector<Nearest> limits(queries.count);
  for (std::size_t q = 0; q < queries.count; ++q) limits[q] = {distances[q], -1};
  NearestSearch search(kernels, queries, may_scan, threads, cancellation, std::move(limits));
  const std::size_t items = std::min(most_items, most_bytes / padded_width(database.width));
  const std::size_t blocks = (database.count + items - 1) / items;
  for (std::size_t b = 0; b < blocks; ++b) {
    const Range block{b * database.count / blocks, (b + 1) * database.count / blocks};
    search.search(database.part(block), block.begin);
  }
  for (std::size_t q = 0; q < queries.count; ++q) {
    distances[q] = search.nearest()[q].distance;
    indices[q] = search.nearest()[q].item;
  }
}

}  // namespace vtsearch
