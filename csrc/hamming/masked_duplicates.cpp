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

// Codes of a part of a table, about, which the first-level cache holds, and parts, at most.
constexpr std::size_t items_per_part = 2048;
constexpr std::size_t most_parts = 4096;

// Buckets up to this size are compared at once: to make a plan would take as long.
constexpr std::size_t unplanned_bucket = 8192;

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

void copy_code(const std::uint8_t* from, std::size_t width, std::uint8_t* to) {
  if (width == 8) {
    std::memcpy(to, from, 8);
  } else {
    std::memcpy(to, from, width);
  }
}

// Codes by a hash of some of their bits: first in parts, each of which is then sorted into buckets in the cache.
class KeyTable {
 public:
  KeyTable(CodeView codes, std::size_t padded)
      : codes_(codes),
        padded_(padded),
        parts_(std::min(std::bit_ceil(codes.count / items_per_part + 1), most_parts)),
        buckets_(parts_ * std::bit_ceil(codes.count / parts_ + 1)),
        begins_(parts_ + 1) {
    rows_.items.resize(codes.count);
    rows_.codes.resize(codes.count * padded);
  }

  std::size_t parts() const { return parts_; }
  Range part(std::size_t number) const { return {begins_[number], begins_[number + 1]}; }
  std::size_t buckets_per_part() const { return buckets_ / parts_; }
  ItemCodes rows() const { return rows_.view(); }

  void sort(const Mask& mask, CancellationPoint& cancellation_point) {
    std::fill(begins_.begin(), begins_.end(), 0u);
    const auto for_each = [&](auto&& visit) {
      for (std::size_t i = codes_.count; i-- > 0;) {
        if (i % items_per_check == 0) cancellation_point();
        visit(i, bucket_of(codes_.code(i), mask) / buckets_per_part());
      }
    };
    for_each([&](std::size_t, std::size_t number) { ++begins_[number]; });
    for (std::size_t p = 1; p <= parts_; ++p) begins_[p] += begins_[p - 1];
    for_each([&](std::size_t i, std::size_t number) {
      const std::size_t place = --begins_[number];
      rows_.items[place] = static_cast<std::uint32_t>(i);
      copy_code(codes_.code(i), codes_.width, rows_.codes.data() + place * padded_);
    });
  }

  // Sorts a part into its buckets, of which begins[b] is the first row.
  void sort_part(std::size_t number, const Mask& mask, OwnedCodes& sorted, std::vector<std::uint32_t>& begins) const {
    const Range rows = part(number);
    sorted.items.resize(rows.count());
    sorted.codes.resize(rows.count() * padded_);
    begins.assign(buckets_per_part() + 1, 0u);
    const auto for_each = [&](auto&& visit) {
      for (std::size_t i = rows.end; i-- > rows.begin;) {
        const std::uint8_t* code = rows_.codes.data() + i * padded_;
        visit(i, code, bucket_of(code, mask) % buckets_per_part());
      }
    };
    for_each([&](std::size_t, const std::uint8_t*, std::size_t bucket) { ++begins[bucket]; });
    for (std::size_t b = 1; b < begins.size(); ++b) begins[b] += begins[b - 1];
    for_each([&](std::size_t i, const std::uint8_t* code, std::size_t bucket) {
      const std::size_t place = --begins[bucket];
      sorted.items[place] = rows_.items[i];
      copy_code(code, padded_, sorted.codes.data() + place * padded_);
    });
  }

 private:
  std::size_t bucket_of(const std::uint8_t* code, const Mask& mask) const {
    return bucket_of_key(key_of(code, mask.data(), codes_.width), buckets_);
  }

  CodeView codes_;
  std::size_t padded_;
  std::size_t parts_;
  std::size_t buckets_;  // of all parts
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
    if (bucket.count() <= unplanned_bucket) return pairs_.unite(rows, bucket, cancellation_point);
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
    if (all.count() > unplanned_bucket) {
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
        runs_of(table.parts(), items_per_task, [&](std::size_t part) { return table.part(part).count(); });
    parallel_for(tasks.size(), threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
      AgreeingUniter uniter(kernels, codes.width, radius, groups);
      OwnedCodes sorted;
      std::vector<std::uint32_t> begins;
      for (std::size_t part = tasks[task].begin; part < tasks[task].end; ++part) {
        table.sort_part(part, mask, sorted, begins);
        for (std::size_t b = 0; b + 1 < begins.size(); ++b) {
          uniter.unite(sorted.view(), {begins[b], begins[b + 1]}, mask, cancellation_point);
        }
        cancellation_point();
      }
    });
  }
}

}  // namespace vtsearch
