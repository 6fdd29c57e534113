#include "hamming/masked_duplicates.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "hamming/bits.h"
#include "hamming/bucket_uniter.h"
#include "hamming/code_keys.h"
#include "hamming/padding.h"
#include "hamming/substrings.h"

namespace vtsearch {
namespace {

// Buckets of a table, at most.
constexpr std::size_t most_buckets = std::size_t{1} << 22;

// Codes of a large bucket from which its plan is made, at most.
constexpr std::size_t sampled = 4096;

// Codes of a large bucket that agree are compared at once, unless a plan takes less than this share of the time.
constexpr double worthwhile = 0.5;

struct OwnedCodes {
  std::vector<std::uint32_t> items;
  std::vector<std::uint8_t> codes;  // padded

  void append(ItemCodes rows, std::size_t row, std::size_t padded) {
    items.push_back(rows.items[row]);
    codes.insert(codes.end(), rows.codes + row * padded, rows.codes + (row + 1) * padded);
  }
  ItemCodes view() const { return {items.data(), codes.data()}; }
};

// Codes in the order of a hash of some of their bits.
class KeyTable {
 public:
  KeyTable(CodeView codes, std::size_t padded) : codes_(codes), padded_(padded) {
    const std::size_t buckets = std::bit_ceil(std::max<std::size_t>(codes.count, 1));
    begins_.resize(std::min(buckets, most_buckets) + 1);
    rows_.items.resize(codes.count);
    rows_.codes.resize(codes.count * padded);
  }

  void sort(const Mask& mask, CancellationPoint& cancellation_point) {
    std::fill(begins_.begin(), begins_.end(), 0u);
    for (std::size_t i = 0; i < codes_.count; ++i) {
      if (i % items_per_check == 0) cancellation_point();
      ++begins_[bucket_of(i, mask)];
    }
    for (std::size_t b = 1; b < begins_.size(); ++b) begins_[b] += begins_[b - 1];
    for (std::size_t i = codes_.count; i-- > 0;) {
      if (i % items_per_check == 0) cancellation_point();
      const std::size_t place = --begins_[bucket_of(i, mask)];
      rows_.items[place] = static_cast<std::uint32_t>(i);
      std::memcpy(rows_.codes.data() + place * padded_, codes_.code(i), codes_.width);
    }
  }

  std::size_t buckets() const { return begins_.size() - 1; }
  Range bucket(std::size_t b) const { return {begins_[b], begins_[b + 1]}; }
  ItemCodes rows() const { return rows_.view(); }

 private:
  std::size_t bucket_of(std::size_t item, const Mask& mask) const {
    return bucket_of_key(key_of(codes_.code(item), mask.data(), codes_.width), buckets());
  }

  CodeView codes_;
  std::size_t padded_;
  std::vector<std::uint32_t> begins_;
  OwnedCodes rows_;
};

class AgreeingUniter {
 public:
  AgreeingUniter(const Kernels& kernels, std::size_t width, std::size_t radius, UnionFind& groups)
      : width_(width),
        padded_(padded_width(width)),
        radius_(radius),
        groups_(groups),
        pairs_(kernels, padded_, radius, groups) {}

  // Unites the near codes of a bucket that agree in the bits of the mask.
  void unite(ItemCodes rows, Range bucket, const Mask& mask, CancellationPoint& cancellation_point) {
    if (bucket.count() < 2) return;
    if (bucket.count() <= small_bucket) return pairs_.unite(rows, bucket, cancellation_point);
    std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
    order.reserve(bucket.count());
    for (std::size_t i = bucket.begin; i < bucket.end; ++i) {
      order.emplace_back(key_of(rows.codes + i * padded_, mask.data(), width_), static_cast<std::uint32_t>(i));
    }
    std::sort(order.begin(), order.end());
    for (std::size_t begin = 0, end; begin < order.size(); begin = end) {
      end = begin + 1;
      while (end < order.size() && order[end].first == order[begin].first) ++end;
      if (end - begin < 2) continue;
      OwnedCodes alike;
      for (std::size_t i = begin; i < end; ++i) alike.append(rows, order[i].second, padded_);
      unite_alike(alike, cancellation_point);
    }
  }

 private:
  // All of these agree in some bits, so that only the others tell them apart.
  void unite_alike(const OwnedCodes& alike, CancellationPoint& cancellation_point) {
    const Range all{0, alike.items.size()};
    cancellation_point();
    if (are_one_group(alike)) return;
    if (varying_bits(alike) <= radius_) return unite_all(alike);
    if (all.count() > small_bucket) {
      const OwnedCodes sample = sample_of(alike);
      const CodeView codes{sample.codes.data(), sample.items.size(), padded_};
      const BlockPlan plan = plan_blocks(codes, all.count(), radius_, cancellation_point);
      if (plan.time < worthwhile * time_of_bucket(all.count())) {
        for (const Mask& set : plan.sets()) unite(alike.view(), all, set, cancellation_point);
        return;
      }
    }
    pairs_.unite(alike.view(), all, cancellation_point);
  }

  bool are_one_group(const OwnedCodes& alike) {
    const std::int64_t group = groups_.find(alike.items.front());
    return std::all_of(alike.items.begin(), alike.items.end(),
                       [&](std::uint32_t item) { return groups_.find(item) == group; });
  }

  std::size_t varying_bits(const OwnedCodes& alike) const {
    std::vector<std::uint8_t> varying(padded_);
    for (std::size_t i = 0; i < alike.codes.size(); ++i) {
      varying[i % padded_] |= static_cast<std::uint8_t>(alike.codes[i] ^ alike.codes[i % padded_]);
    }
    std::size_t bits = 0;
    for (const std::uint8_t byte : varying) bits += count_bits(byte);
    return bits;
  }

  void unite_all(const OwnedCodes& alike) {
    for (const std::uint32_t item : alike.items) groups_.unite(alike.items.front(), item);
  }

  OwnedCodes sample_of(const OwnedCodes& alike) const {
    OwnedCodes sample;
    const std::size_t count = alike.items.size(), wanted = std::min(sampled, count);
    for (std::size_t i = 0; i < wanted; ++i) sample.append(alike.view(), i * count / wanted, padded_);
    return sample;
  }

  std::size_t width_;
  std::size_t padded_;
  std::size_t radius_;
  UnionFind& groups_;
  BucketUniter pairs_;
};

}  // namespace

void unite_agreeing(const Kernels& kernels, CodeView codes, const std::vector<Mask>& masks, std::size_t radius,
                    UnionFind& groups, std::size_t threads, Cancellation& cancellation) {
  KeyTable table(codes, padded_width(codes.width));
  CancellationPoint here(cancellation, 0);
  for (const Mask& mask : masks) {
    table.sort(mask, here);
    const std::vector<Range> tasks =
        runs_of(table.buckets(), items_per_task, [&](std::size_t b) { return table.bucket(b).count(); });
    parallel_for(tasks.size(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
      AgreeingUniter uniter(kernels, codes.width, radius, groups);
      for (std::size_t b = tasks[task].begin; b < tasks[task].end; ++b) {
        uniter.unite(table.rows(), table.bucket(b), mask, cancellation_point);
      }
      cancellation_point();
    });
  }
}

}  // namespace vtsearch
