// Views of memory owned by the caller: codes, masks, labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"

namespace vtsearch {

// Largest code width in bytes, so that distances fit 16 bits.
inline constexpr std::size_t width_limit = 8191;

// Largest number of items of a range: items are numbered inside a range by 32 bits, and longer databases are split.
inline constexpr std::size_t range_limit = std::size_t{1} << 31;

// Items begin .. end - 1.
struct Range {
  std::size_t begin;
  std::size_t end;

  std::size_t count() const { return end - begin; }
};

// `count` packed codes of `width` bytes each, contiguous.
struct CodeView {
  const std::uint8_t* data;
  std::size_t count;
  std::size_t width;

  std::size_t bins() const { return 8 * width + 1; }  // distances 0 .. 8 * width
  const std::uint8_t* code(std::size_t i) const { return data + i * width; }
  CodeView part(Range range) const { return {code(range.begin), range.count(), width}; }
};

// Largest weight of a bit, so that those of four add up to a byte, and largest sum of those of a query, so that
// distances and the threshold above all of them fit 16 bits.
inline constexpr std::size_t weight_limit = 63;
inline constexpr std::size_t weight_sum_limit = 65534;

// Codes to search for. A bit in which one differs from a code of the database counts 1, or its weight.
struct Queries : CodeView {
  const std::uint8_t* weights = nullptr;  // (count, 8 * width), the bits in the order of numpy.packbits
  std::size_t farthest;                   // the largest distance

  Queries(CodeView codes) : CodeView(codes), farthest(8 * codes.width) {}
  Queries(CodeView codes, const std::uint8_t* weights_) : CodeView(codes), weights(weights_), farthest(0) {
    for (std::size_t q = 0; q < count; ++q) {
      std::size_t sum = 0;
      for (std::size_t i = 0; i < 8 * width; ++i) sum += weights_of(q)[i];
      farthest = sum > farthest ? sum : farthest;
    }
  }

  std::size_t bins() const { return farthest + 1; }

  // A distance that no query can have, the same for all parts of a batch.
  std::size_t beyond() const { return weights == nullptr ? bins() : weight_sum_limit + 1; }

  const std::uint8_t* weights_of(std::size_t q) const { return weights + 8 * width * q; }
  Queries part(Range range) const {
    Queries queries = *this;
    static_cast<CodeView&>(queries) = CodeView::part(range);
    if (weights != nullptr) queries.weights = weights_of(range.begin);
    return queries;
  }
};

// One bit per item, in the order of numpy.packbits: item i is bit 7 - i % 8 of byte i / 8. A null pointer allows every
// item. Words have them in the order of items: item i is bit i % 64.
struct MaskView {
  const std::uint8_t* data = nullptr;

  bool allows(std::size_t i) const { return data == nullptr || ((data[i / 8] >> (7 - i % 8)) & 1) != 0; }

  // The bits of the 64 items from `begin`, a multiple of 64. `data` must not be null.
  std::uint64_t whole_word(std::size_t begin) const {
    std::uint64_t bits;
    std::memcpy(&bits, data + begin / 8, 8);
    return reversed_in_bytes(bits);
  }

  // The bits of items begin .. end - 1, all in one group of 64; the others are 0. `data` must not be null.
  std::uint64_t word(std::size_t begin, std::size_t end) const {
    std::uint64_t bits = 0;
    const std::size_t first = begin / 64 * 8, last = (end + 7) / 8;
    std::memcpy(&bits, data + first, last - first);
    const std::uint64_t below_end = end % 64 == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << (end % 64)) - 1;
    return reversed_in_bytes(bits) & below_end & (~std::uint64_t{0} << (begin % 64));
  }

  // The bits of items begin .. end - 1 as words, from `begin`, a multiple of 64; those behind the last are 0.
  void write_words(std::size_t begin, std::size_t end, std::uint64_t* words) const {
    for (; begin + 64 <= end; begin += 64) *words++ = whole_word(begin);
    if (begin < end) *words = word(begin, end);
  }
};

// The masks of queries: one for all of them, or a row for each, `stride` bytes apart.
struct Masks {
  MaskView first{};
  std::size_t stride = 0;  // 0: one for all

  bool by_query() const { return stride != 0; }
  MaskView shared() const { return by_query() ? MaskView{} : first; }
  MaskView of(std::size_t query) const { return by_query() ? MaskView{first.data + query * stride} : first; }
  Masks from(std::size_t query) const { return {of(query), stride}; }
};

// Labels as compressed sparse rows (CSR): the classes of item i are classes[offsets[i]] .. classes[offsets[i + 1] - 1].
struct LabelView {
  const std::int64_t* offsets;
  const std::int32_t* classes;

  const std::int32_t* begin(std::size_t i) const { return classes + offsets[i]; }
  const std::int32_t* end(std::size_t i) const { return classes + offsets[i + 1]; }
  std::size_t count(std::size_t i) const { return static_cast<std::size_t>(offsets[i + 1] - offsets[i]); }

  // The largest number of classes of one of the first items.
  std::size_t most(std::size_t items) const {
    std::size_t most = 0;
    for (std::size_t i = 0; i < items; ++i) most = count(i) > most ? count(i) : most;
    return most;
  }
};

// Codes and their labels.
struct Labelled {
  CodeView codes;
  LabelView labels;
};

}  // namespace vtsearch
