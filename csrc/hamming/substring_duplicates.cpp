#include "hamming/substring_duplicates.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "hamming/bucket_uniter.h"
#include "hamming/padding.h"

namespace vtsearch {
namespace {

// Longer substrings get keys of their first bits only: buckets of a few items need no more.
constexpr unsigned most_key_bits = 22;

// From this size on, the blocks of a bucket are shared by all threads.
constexpr std::size_t shared_bucket = 16384;

// Unites the pairs of all buckets of a table: tasks are runs of buckets, and blocks of those that all threads share.
void unite_buckets(const Kernels& kernels, const SubstringTable& table, std::size_t padded, std::size_t radius,
                   UnionFind& groups, std::size_t threads, Cancellation& cancellation) {
  const ItemCodes rows{table.items, table.codes};
  std::vector<Range> shared;
  const std::vector<Range> tasks = runs_of(table.part.buckets(), items_per_task, [&](std::size_t b) {
    const Range bucket = table.bucket(b);
    if (bucket.count() < shared_bucket) return bucket.count();
    shared.push_back(bucket);
    return std::size_t{0};
  });
  parallel_for(tasks.size(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    BucketUniter uniter(kernels, padded, radius, groups);
    for (std::size_t b = tasks[task].begin; b < tasks[task].end; ++b) {
      const Range bucket = table.bucket(b);
      if (bucket.count() >= 2 && bucket.count() < shared_bucket) uniter.unite(rows, bucket, cancellation_point);
    }
    cancellation_point();
  });
  for (const Range bucket : shared) {
    BucketUniter uniter(kernels, padded, radius, groups);
    const Members members = by_group(rows, bucket, padded, groups);
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
