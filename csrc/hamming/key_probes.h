// The buckets in which the items near a query are, step by step (multi_index.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "hamming/bits.h"
#include "hamming/substrings.h"

namespace vtsearch {

// Positions begin .. end - 1 of a table.
struct Bucket {
  std::uint32_t begin;
  std::uint32_t end;
};

class KeyProbes {
 public:
  // `items`: in every table; buckets that are said to have others are passed over.
  KeyProbes(const std::vector<SubstringTable>& tables, std::size_t items)
      : tables_(tables), items_(items), keys_(tables.size()) {}

  std::size_t items() const { return items_; }

  void start(const std::uint8_t* query) {
    for (std::size_t t = 0; t < tables_.size(); ++t) {
      keys_[t] = tables_[t].part.key(query);
      prefetch(tables_[t].begins + keys_[t]);
    }
  }

  const SubstringTable& table(std::size_t step) const { return tables_[step % tables_.size()]; }

  // The number of keys of a step; a double, as it may be larger than any integer.
  double keys(std::size_t step) const {
    const unsigned bits = table(step).part.bits();
    if (radius(step) > bits) return 0.0;
    double count = 1.0;
    for (std::size_t i = 0; i < radius(step); ++i) {
      count *= (static_cast<double>(bits) - static_cast<double>(i)) / static_cast<double>(i + 1);
    }
    return count;
  }

  // Appends the buckets of a step that are not empty; returns how many items they have.
  std::size_t append(std::size_t step, std::vector<Bucket>& buckets) {
    const SubstringTable& table = this->table(step);
    std::size_t items = 0, waiting = 0;
    std::uint32_t ahead[keys_ahead];
    const auto look_up = [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        const Bucket bucket{table.begins[ahead[i]], table.begins[ahead[i] + 1]};
        if (bucket.begin >= bucket.end || bucket.end > items_) continue;
        items += bucket.end - bucket.begin;
        buckets.push_back(bucket);
      }
    };
    for_each_key(keys_[step % tables_.size()], table.part.bits(), radius(step), [&](std::uint32_t key) {
      prefetch(table.begins + key);
      ahead[waiting++] = key;
      if (waiting < keys_ahead) return;
      look_up(waiting);
      waiting = 0;
    });
    look_up(waiting);
    return items;
  }

  // From then on, seen_before() is about the candidates of this step.
  void enter(std::size_t step) {
    radius_ = radius(step);
    table_ = step % tables_.size();
  }

  // Whether a code was among the candidates of an earlier step.
  bool seen_before(const std::uint8_t* code) const {
    for (std::size_t t = 0; t < tables_.size(); ++t) {
      const std::size_t done = radius_ + (t < table_);  // all keys of table t that differ in fewer bits
      if (done == 0) return false;
      const std::uint32_t differing = tables_[t].part.key(code) ^ keys_[t];
      if (differing == 0 || (done > 1 && count_bits(differing) < done)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t keys_ahead = 32;  // prefetched together

  std::size_t radius(std::size_t step) const { return step / tables_.size(); }

  // All keys that differ in `radius` bits, in the order of the bits as a number.
  template <class Visit>
  static void for_each_key(std::uint32_t key, unsigned bits, std::size_t radius, Visit&& visit) {
    if (radius > bits) return;
    if (radius == 0) return visit(key);
    const std::uint64_t end = std::uint64_t{1} << bits;
    for (std::uint64_t flipped = (std::uint64_t{1} << radius) - 1; flipped < end;) {
      visit(key ^ static_cast<std::uint32_t>(flipped));
      const std::uint64_t carried = flipped + (flipped & (~flipped + 1));  // the next number with as many ones
      flipped = carried | ((flipped ^ carried) >> (trailing_zeros(flipped) + 2));
    }
  }

  const std::vector<SubstringTable>& tables_;
  std::size_t items_;
  std::vector<std::uint32_t> keys_;  // of the query, by table
  std::size_t radius_ = 0;
  std::size_t table_ = 0;
};

}  // namespace vtsearch
