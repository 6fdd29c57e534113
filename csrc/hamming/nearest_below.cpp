#include "hamming/nearest_below.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <vector>

#include "hamming/aligned_array.h"
#include "hamming/hit_list.h"
#include "hamming/padding.h"
#include "hamming/row_scan.h"
#include "hamming/scanner.h"
#include "hamming/substrings.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Of a block of items, for which tables are made one after the other: their memory is limited, and so are cache misses.
constexpr std::size_t most_items = std::size_t{1} << 22;
constexpr std::size_t most_bytes = std::size_t{1} << 26;

// Longer substrings get keys of their first bits only.
constexpr unsigned most_key_bits = 22;

constexpr std::size_t queries_per_task = queries_per_block;

// Times in units of a comparison of a pair in a scan of the whole database.
constexpr double pair_in_rows = 4.0;
constexpr double queries_of_slicing = 20.0;  // in the time of which a block of items is laid out for others
constexpr double item_of_table = 1000.0;
constexpr double query_of_table = 1000.0;

double time_of_bucket(const Kernels& kernels, std::size_t items, std::size_t queries) {
  const auto count = static_cast<double>(items), asked = static_cast<double>(queries);
  if (!is_bit_sliced(kernels, queries, items)) return count * asked * pair_in_rows;
  const double blocks = 1.0 + asked / static_cast<double>(queries_per_task);
  return count * (asked + blocks * queries_of_slicing);
}

std::vector<std::uint32_t> bucket_sizes(CodeView codes, const Substring& part, CancellationPoint& cancellation_point) {
  std::vector<std::uint32_t> sizes(part.buckets());
  for (std::size_t i = 0; i < codes.count; ++i) {
    if (i % items_per_check == 0) cancellation_point();
    ++sizes[part.key(codes.code(i))];
  }
  return sizes;
}

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

  // Whether the items from `first` on have nothing of use, after `tables` of their tables: those within a smaller
  // distance than that number have been found.
  bool is_final(std::size_t tables, std::int64_t first) const {
    return distance - (item < first ? 1 : 0) < static_cast<std::int64_t>(tables);
  }
};

// Compares queries with the items of a bucket, in which theirs are.
class BucketSearch {
 public:
  BucketSearch(const Kernels& kernels, const SubstringTable& items, std::size_t padded, std::int64_t first)
      : kernels_(kernels), items_(items), padded_(padded), first_(first), rows_(kernels, padded, piece) {}

  // `codes`: padded ones of the queries. Those for which nothing nearer can be found may be left out.
  void search(Range bucket, const std::vector<std::uint8_t>& codes, const std::vector<Nearest*>& nearest,
              CancellationPoint& cancellation_point) {
    if (is_bit_sliced(kernels_, nearest.size(), bucket.count())) {
      return scan({codes.data(), nearest.size(), padded_}, bucket, nearest, cancellation_point);
    }
    for (std::size_t q = 0; q < nearest.size(); ++q, cancellation_point()) {
      scan(codes.data() + q * padded_, bucket, *nearest[q]);
    }
  }

 private:
  static constexpr std::size_t piece = 512;

  std::int64_t item(std::size_t place) const { return first_ + items_.items[place]; }

  void scan(const std::uint8_t* query, Range bucket, Nearest& nearest) {
    for (std::size_t begin = bucket.begin; begin < bucket.end; begin += piece) {
      const std::size_t count = std::min(piece, bucket.end - begin);
      const std::size_t found =
          rows_.find(query, items_.codes + begin * padded_, count, nearest.threshold(item(begin)));
      for (std::size_t i = 0; i < found; ++i) nearest.take(rows_.distance(i), item(begin + rows_.position(i)));
    }
  }

  void scan(CodeView queries, Range bucket, const std::vector<Nearest*>& nearest,
            CancellationPoint& cancellation_point) {
    Scanner scanner(kernels_, queries, bucket.count(), {}, bucket.begin);
    for (std::size_t q = 0; q < queries.count; ++q) scanner.set_threshold(q, nearest[q]->threshold(item(bucket.begin)));
    HitLists hits(queries.count);
    TileReader reader = scanner.tiles({items_.codes, bucket.end, padded_}, {}, bucket, bucket.count());
    for (Tile tile; reader.next(tile); cancellation_point()) {
      scanner.scan(tile, hits, [&](std::size_t q, std::size_t count) {
        const HitList& list = hits[q];
        for (std::size_t i = 0; i < count; ++i) {
          nearest[q]->take(list.distances()[i], item(bucket.begin + list.items()[i]));
        }
        scanner.set_threshold(q, nearest[q]->threshold(item(bucket.begin + list.items()[count - 1])));
        hits[q].clear();
      });
    }
  }

  const Kernels& kernels_;
  const SubstringTable& items_;
  std::size_t padded_;
  std::int64_t first_;
  RowScan rows_;
};

// A table of codes by a substring, for one substring after the other.
class TableMemory {
 public:
  explicit TableMemory(CodeView codes)
      : codes_(codes), items_(codes.count), copies_(codes.count * padded_width(codes.width)) {}

  SubstringTable build(const Substring& part, CancellationPoint& cancellation_point) {
    begins_.resize(part.buckets() + 1);
    build_table({codes_}, part, cancellation_point, begins_.data(), items_.data(), copies_.data());
    return {part, begins_.data(), items_.data(), copies_.data()};
  }

 private:
  CodeView codes_;
  std::vector<std::uint32_t> begins_;
  std::vector<std::uint32_t> items_;
  AlignedArray<std::uint8_t> copies_;
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
    TableMemory of_items(items), of_queries(queries_);
    for (std::size_t t = 0; t < parts.size(); ++t) {
      search_table(of_items.build(parts[t], here), of_queries.build(parts[t], here), t, first);
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
      const std::vector<std::uint32_t> sizes = bucket_sizes(items, part, here);
      const std::vector<std::uint32_t> query_sizes = bucket_sizes(queries_, part, here);
      for (std::size_t b = 0; b < part.buckets(); ++b) {
        time += time_of_bucket(kernels_, sizes[b], query_sizes[b]);
      }
    }
    return time <= count * queries;
  }

  // Queries next to each other in their table are mostly those of one bucket.
  void search_table(const SubstringTable& items, const SubstringTable& queries, std::size_t number, std::size_t first) {
    const std::size_t padded = padded_width(queries_.width);
    const std::size_t tasks = (queries_.count + queries_per_task - 1) / queries_per_task;
    parallel_for(tasks, threads_, cancellation_, [&](std::size_t task, CancellationPoint& cancellation_point) {
      BucketSearch search(kernels_, items, padded, static_cast<std::int64_t>(first));
      const std::size_t end = std::min((task + 1) * queries_per_task, queries_.count);
      std::vector<std::uint8_t> codes;
      std::vector<Nearest*> nearest;
      for (std::size_t q = task * queries_per_task; q < end;) {
        const std::uint32_t key = items.part.key(queries.codes + q * padded);
        codes.clear();
        nearest.clear();
        for (; q < std::min<std::size_t>(end, queries.begins[key + 1]); ++q) {
          Nearest& each = nearest_[queries.items[q]];
          if (each.is_final(number, static_cast<std::int64_t>(first))) continue;
          codes.insert(codes.end(), queries.codes + q * padded, queries.codes + (q + 1) * padded);
          nearest.push_back(&each);
        }
        search.search(items.bucket(key), codes, nearest, cancellation_point);
      }
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
