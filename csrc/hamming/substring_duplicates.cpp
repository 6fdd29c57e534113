#include "hamming/substring_duplicates.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "hamming/near_pairs.h"
#include "hamming/padding.h"
#include "hamming/row_scan.h"

namespace vtsearch {
namespace {

// Longer substrings get keys of their first bits only: buckets of a few items need no more.
constexpr unsigned most_key_bits = 22;

// Buckets up to this size are compared code by code, larger ones in blocks of queries.
constexpr std::size_t small_bucket = 2048;

// From this size on, the blocks of a bucket are shared by all threads.
constexpr std::size_t shared_bucket = 16384;

// Items of the buckets of a task, approximately.
constexpr std::size_t items_per_task = 16384;

// Times in units of a comparison of a pair in a scan of the whole database.
constexpr double pair_in_small_bucket = 3.0;
constexpr double pair_in_large_bucket = 2.5;
constexpr double item_of_table = 1000.0;

double time_of_bucket(std::size_t size) {
  const double pairs = static_cast<double>(size) * static_cast<double>(size) / 2;
  return pairs * (size <= small_bucket ? pair_in_small_bucket : pair_in_large_bucket);
}

// The items of a large bucket, with those that belong together already next to each other: they need not be compared.
struct Members {
  std::vector<std::uint8_t> codes;  // padded
  std::vector<std::uint32_t> items;
  std::vector<std::uint32_t> ends;  // of the group of each
};

Members by_group(const SubstringTable& table, Range bucket, std::size_t padded, UnionFind& groups) {
  std::vector<std::pair<std::int64_t, std::uint32_t>> order;
  order.reserve(bucket.count());
  for (std::size_t i = bucket.begin; i < bucket.end; ++i) {
    order.emplace_back(groups.find(table.items[i]), static_cast<std::uint32_t>(i));
  }
  std::sort(order.begin(), order.end());
  Members members;
  members.codes.reserve(order.size() * padded);
  members.items.reserve(order.size());
  members.ends.resize(order.size());
  for (const auto& [group, i] : order) {
    const std::uint8_t* code = table.codes + i * padded;
    members.codes.insert(members.codes.end(), code, code + padded);
    members.items.push_back(table.items[i]);
  }
  for (std::size_t i = order.size(), end = i; i-- > 0;) {
    if (i + 1 < order.size() && order[i].first != order[i + 1].first) end = i + 1;
    members.ends[i] = static_cast<std::uint32_t>(end);
  }
  return members;
}

// Unites the pairs of a bucket that are within the radius.
class BucketUniter {
 public:
  BucketUniter(const Kernels& kernels, const SubstringTable& table, std::size_t padded, std::size_t radius,
               UnionFind& groups)
      : kernels_(kernels),
        table_(table),
        padded_(padded),
        radius_(radius),
        groups_(groups),
        rows_(kernels, padded, small_bucket) {}

  void unite(Range bucket, CancellationPoint& cancellation_point) {
    if (bucket.count() <= small_bucket) return unite_small(bucket);
    const Members members = by_group(table_, bucket, padded_, groups_);
    for (std::size_t first = 0; first < bucket.count(); first += queries_per_block) {
      unite_block(members, first, cancellation_point);
    }
  }

  // Compares a block of members with all behind the group of its first one.
  void unite_block(const Members& members, std::size_t first, CancellationPoint& cancellation_point) {
    const CodeView all{members.codes.data(), members.items.size(), padded_};
    const CodeView queries = all.part({first, std::min(first + queries_per_block, all.count)});
    const Range others{members.ends[first], all.count};
    if (others.count() == 0) return;
    for_each_near_pair(
        kernels_, queries, all, {}, others, radius_, cancellation_point,
        [&](std::size_t q, std::size_t other) { groups_.unite(members.items[first + q], members.items[other]); });
  }

 private:
  void unite_small(Range bucket) {
    for (std::size_t i = bucket.begin; i + 1 < bucket.end; ++i) {
      const std::uint8_t* code = table_.codes + i * padded_;
      const std::size_t found = rows_.find(code, code + padded_, bucket.end - i - 1, radius_ + 1);
      for (std::size_t j = 0; j < found; ++j) groups_.unite(table_.items[i], table_.items[i + 1 + rows_.position(j)]);
    }
  }

  const Kernels& kernels_;
  const SubstringTable& table_;
  std::size_t padded_;
  std::size_t radius_;
  UnionFind& groups_;
  RowScan rows_;
};

// Unites the pairs of all buckets of a table: tasks are runs of buckets, and blocks of those that all threads share.
void unite_buckets(const Kernels& kernels, const SubstringTable& table, std::size_t padded, std::size_t radius,
                   UnionFind& groups, std::size_t threads, Cancellation& cancellation) {
  std::vector<Range> shared;
  const std::vector<Range> tasks = runs_of(table.part.buckets(), items_per_task, [&](std::size_t b) {
    const Range bucket = table.bucket(b);
    if (bucket.count() < shared_bucket) return bucket.count();
    shared.push_back(bucket);
    return std::size_t{0};
  });
  parallel_for(tasks.size(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    BucketUniter uniter(kernels, table, padded, radius, groups);
    for (std::size_t b = tasks[task].begin; b < tasks[task].end; ++b) {
      const Range bucket = table.bucket(b);
      if (bucket.count() >= 2 && bucket.count() < shared_bucket) uniter.unite(bucket, cancellation_point);
    }
    cancellation_point();
  });
  for (const Range bucket : shared) {
    BucketUniter uniter(kernels, table, padded, radius, groups);
    const Members members = by_group(table, bucket, padded, groups);
    const std::size_t blocks = (bucket.count() + queries_per_block - 1) / queries_per_block;
    parallel_for(blocks, threads, cancellation, [&](std::size_t block, CancellationPoint& cancellation_point) {
      uniter.unite_block(members, block * queries_per_block, cancellation_point);
    });
  }
}

}  // namespace

SubstringTables::SubstringTables(CodeView codes, std::size_t radius, const std::vector<std::uint32_t>& items,
                                 CancellationPoint& cancellation_point)
    : codes_(codes), radius_(radius), items_(items) {
  const std::size_t bits = 8 * codes.width, tables = radius + 1;
  const double all_pairs = static_cast<double>(items.size()) * static_cast<double>(items.size()) / 2;
  double time = static_cast<double>(tables) * static_cast<double>(items.size()) * item_of_table;
  if (tables > bits || time > all_pairs) return;
  const auto useful_bits = static_cast<unsigned>(std::bit_width(items.size()));
  parts_ = partition(codes.width, bits, tables, std::min(useful_bits, most_key_bits));
  for (const Substring& part : parts_) {
    const std::vector<std::uint32_t> ends = bucket_ends(part, cancellation_point);
    for (std::size_t b = 0; b < part.buckets(); ++b) time += time_of_bucket(ends[b] - (b == 0 ? 0 : ends[b - 1]));
    if (time > all_pairs) return;
  }
  pay_ = true;
}

// The ends of the buckets, from which a builder goes on to place items.
std::vector<std::uint32_t> SubstringTables::bucket_ends(const Substring& part,
                                                        CancellationPoint& cancellation_point) const {
  std::vector<std::uint32_t> ends(part.buckets() + 1);
  TableBuilder builder(part, ends.data());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i % items_per_check == 0) cancellation_point();
    builder.count(codes_.code(items_[i]));
  }
  builder.close();
  return ends;
}

void SubstringTables::unite(const Kernels& kernels, UnionFind& groups, std::size_t threads, Cancellation& cancellation,
                            const std::function<void(double)>& report) const {
  const std::size_t padded = padded_width(codes_.width);
  std::vector<std::uint32_t> items(items_.size());
  std::vector<std::uint8_t> codes(items_.size() * padded);
  for (std::size_t t = 0; t < parts_.size(); ++t) {
    CancellationPoint here(cancellation, 0);
    std::vector<std::uint32_t> begins = bucket_ends(parts_[t], here);
    TableBuilder builder(parts_[t], begins.data());
    for (std::size_t i = items_.size(); i-- > 0;) {
      if (i % items_per_check == 0) here();
      const std::uint8_t* code = codes_.code(items_[i]);
      const std::size_t place = builder.place(code);
      items[place] = items_[i];
      std::memcpy(codes.data() + place * padded, code, codes_.width);
    }
    unite_buckets(kernels, {parts_[t], begins.data(), items.data(), codes.data()}, padded, radius_, groups, threads,
                  cancellation);
    report(static_cast<double>(t + 1) / static_cast<double>(parts_.size()));
  }
}

}  // namespace vtsearch
