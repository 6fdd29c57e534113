// Codes by substrings: their partition into keys, and tables of the codes with each key.
//
// Two codes within radius r agree in at least one of any r + 1 substrings, and are within a of each other in at least
// one of m substrings where r < m * (a + 1) (Norouzi, Punjani and Fleet, CVPR 2012).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codes.h"
#include "compiler.h"
#include "hamming/parallel.h"

namespace vtsearch {

// Consecutive bits of a code, the first of which is the most significant one of byte 0.
class Substring {
 public:
  // Bits begin .. begin + length - 1 of codes of `width` bytes; the key has the first `key_bits` of them.
  Substring(std::size_t width, std::size_t begin, unsigned key_bits)
      : byte_(width > word_bytes ? (begin / 8 < width - word_bytes ? begin / 8 : width - word_bytes) : 0),
        loaded_(width > word_bytes ? word_bytes : width),
        shift_(static_cast<unsigned>(64 - (begin - 8 * byte_) - key_bits)),
        bits_(key_bits) {}

  unsigned bits() const { return bits_; }
  std::size_t buckets() const { return std::size_t{1} << bits_; }

  std::uint32_t key(const std::uint8_t* code) const {
    std::uint64_t word = 0;
    if (loaded_ == word_bytes) {
      std::memcpy(&word, code + byte_, word_bytes);
    } else {
      std::memcpy(&word, code, loaded_);
    }
    return static_cast<std::uint32_t>((reversed_bytes(word) >> shift_) & (buckets() - 1));
  }

 private:
  static constexpr std::size_t word_bytes = 8;

  std::size_t byte_;    // a word is loaded from here,
  std::size_t loaded_;  // or as many bytes as the code has,
  unsigned shift_;      // and shifted, the first byte being the most significant one
  unsigned bits_;
};

// `count` substrings of about equal length that cover the first `bits` bits of codes, with keys of at most
// `most_key_bits`.
std::vector<Substring> partition(std::size_t width, std::size_t bits, std::size_t count, unsigned most_key_bits);

// The items with each key: those of key b are at begins[b] .. begins[b + 1] - 1, in ascending order.
struct SubstringTable {
  Substring part;
  const std::uint32_t* begins;
  const std::uint32_t* items;
  const std::uint8_t* codes;  // copies of their codes, padded, in the order of `items`; may be null

  Range bucket(std::size_t key) const { return {begins[key], begins[key + 1]}; }
};

// Items that are counted or placed between two looks at whether to stop.
inline constexpr std::size_t items_per_check = 65536;

// Makes a table in two passes over the same codes: count() all, close(), then place() all in descending order.
class TableBuilder {
 public:
  // `begins`: part.buckets() + 1 zeros.
  TableBuilder(const Substring& part, std::uint32_t* begins) : part_(part), begins_(begins) {}

  void count(const std::uint8_t* code) { ++begins_[part_.key(code)]; }
  void close() {
    for (std::size_t b = 1; b <= part_.buckets(); ++b) begins_[b] += begins_[b - 1];
  }
  std::uint32_t place(const std::uint8_t* code) { return --begins_[part_.key(code)]; }

 private:
  const Substring& part_;
  std::uint32_t* begins_;
};

// Sorts the items of several arrays of codes, one after the other, into a table.
void build_table(const std::vector<CodeView>& arrays, const Substring& part, CancellationPoint& cancellation_point,
                 std::uint32_t* begins, std::uint32_t* items, std::uint8_t* codes);

}  // namespace vtsearch
