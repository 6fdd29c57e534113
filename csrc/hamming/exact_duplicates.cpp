#include "hamming/exact_duplicates.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "hamming/code_keys.h"

namespace vtsearch {
namespace {

struct Entry {
  std::uint64_t key;
  std::int64_t item;

  bool operator<(const Entry& other) const { return key != other.key ? key < other.key : item < other.item; }
};

// Mean entries per bucket. A bucket is sorted at once and should stay in the second-level cache.
constexpr std::size_t bucket_items = 4096;
constexpr std::size_t items_per_check = 4096;

// All items with their keys, partitioned by the upper bits of the key; items of a bucket are in ascending order.
class Buckets {
 public:
  Buckets(CodeView codes, const ReadWindows& windows, CancellationPoint& cancellation_point)
      : count_(codes.count / bucket_items + 1), ends_(count_ + 1), entries_(codes.count) {
    const auto for_each = [&](auto&& visit) {
      windows.for_each(0, codes.count, [&](Range window) {
        for (std::size_t i = window.begin; i < window.end; ++i) {
          if (i % items_per_check == 0) cancellation_point();
          visit(i, key_of(codes.code(i), codes.width));
        }
      });
    };
    for_each([&](std::size_t, std::uint64_t key) { ++ends_[bucket_of(key) + 1]; });
    for (std::size_t b = 0; b < count_; ++b) ends_[b + 1] += ends_[b];
    // ends_[b] starts as the first index of bucket b and is its end once all entries are written.
    for_each([&](std::size_t i, std::uint64_t key) {
      entries_[ends_[bucket_of(key)]++] = {key, static_cast<std::int64_t>(i)};
    });
  }

  std::size_t count() const { return count_; }
  std::span<Entry> entries(std::size_t bucket) {
    const std::size_t begin = bucket == 0 ? 0 : ends_[bucket - 1];
    return std::span(entries_).subspan(begin, ends_[bucket] - begin);
  }

 private:
  std::size_t bucket_of(std::uint64_t key) const { return bucket_of_key(key, count_); }

  std::size_t count_;
  std::vector<std::size_t> ends_;
  std::vector<Entry> entries_;
};

bool are_equal(CodeView codes, std::int64_t a, std::int64_t b) {
  if (codes.width <= sizeof(Entry::key)) return true;  // equal keys imply equal codes
  const auto code = [&](std::int64_t item) { return codes.code(static_cast<std::size_t>(item)); };
  return std::memcmp(code(a), code(b), codes.width) == 0;
}

// Handles items with one key, in ascending order. Nearly always they have the same code; after a hash collision each
// item is compared with the distinct codes found so far.
void find_exact_duplicates_of_key(CodeView codes, std::span<const Entry> entries, const ReadWindows& windows,
                                  CancellationPoint& cancellation_point, std::int64_t* first) {
  first[entries.front().item] = entries.front().item;
  std::vector<std::int64_t> different = {entries.front().item};
  std::size_t compared = 0;
  for (const Entry& entry : entries.subspan(1)) {
    cancellation_point();
    const auto same = [&](std::int64_t item) { return are_equal(codes, item, entry.item); };
    const auto found = std::find_if(different.begin(), different.end(), same);
    first[entry.item] = found == different.end() ? entry.item : *found;
    if (found == different.end()) different.push_back(entry.item);
    if (++compared % windows.items == 0 && windows.release) windows.release({0, codes.count});
  }
}

}  // namespace

void find_exact_duplicates(CodeView codes, const ReadWindows& windows, std::size_t threads, Cancellation& cancellation,
                           std::int64_t* first) {
  CancellationPoint here(cancellation, 0);
  Buckets buckets(codes, windows, here);
  parallel_for(buckets.count(), threads, cancellation, [&](std::size_t bucket, CancellationPoint& cancellation_point) {
    cancellation_point();
    const std::span<Entry> entries = buckets.entries(bucket);
    // A bucket is large only if many codes are equal; then it is already sorted.
    if (!std::is_sorted(entries.begin(), entries.end())) std::sort(entries.begin(), entries.end());
    for (std::size_t begin = 0, end; begin < entries.size(); begin = end) {
      end = begin + 1;
      while (end < entries.size() && entries[end].key == entries[begin].key) ++end;
      if (end - begin == 1) {
        first[entries[begin].item] = entries[begin].item;
      } else {
        find_exact_duplicates_of_key(codes, entries.subspan(begin, end - begin), windows, cancellation_point, first);
      }
    }
  });
  if (windows.release) windows.release({0, codes.count});
}

}  // namespace vtsearch
