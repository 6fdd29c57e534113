// Bit-sliced kernels (layout: bit_sliced.h), generic over `struct Vector`. Beyond the operations listed in rows.inl
// they need:
//
//   a & b, a + b              bitwise; in lanes of 8 bytes
//   popcount(v)               bits set in each lane of 8 bytes
//   shift_left<n>(v)          each lane of 8 bytes
//   sum(a, b, c)              a ^ b ^ c
//   majority(a, b, c)         bits set in at least two of the three
//   without(a, b)             a & ~b
//   broadcast(p)              the word of 8 bytes at p in every lane
//   any(v)                    whether any bit is set
//   min_queries               see BitSlicedKernels
//   bit_slice<B>(codes, stride, planes)
//                             transposes 512 codes of B = 2, 4 or 8 bytes, `stride` apart: bit i of plane p is bit p of
//                             code i
#pragma once

#include "simd/rows.inl"

namespace vtsearch {
namespace {

constexpr std::size_t unit_stride = rows_per_unit * row_bytes;

// A number for each bit position of a vector; bit[0] is the lowest bit.
template <std::size_t Bits>
struct Number {
  static constexpr std::size_t bits = Bits;
  Vector bit[Bits];
};

// total = a + b + carry, with a at least as long as b: full adders where both have a bit, half adders above.
template <std::size_t I = 0, std::size_t A, std::size_t B, std::size_t Total>
VTSEARCH_ALWAYS_INLINE void add(const Number<A>& a, const Number<B>& b, Vector carry, Number<Total>& total) {
  if constexpr (I < B) {
    total.bit[I] = Vector::sum(a.bit[I], b.bit[I], carry);
    carry = Vector::majority(a.bit[I], b.bit[I], carry);
  } else if constexpr (I < A) {
    total.bit[I] = a.bit[I] ^ carry;
    carry = a.bit[I] & carry;
  } else {
    total.bit[I] = carry;
  }
  if constexpr (I + 1 < Total) add<I + 1>(a, b, carry, total);
}

// The sum of the first 15 bits of a unit.
VTSEARCH_ALWAYS_INLINE Number<4> unit_sum(const u8* rows, const u16* picks) {
  const auto sum = [&](std::size_t t) { return Vector::load(rows + picks[t]); };
  const auto carry = [&](std::size_t t) { return Vector::load(rows + picks[triples + t]); };
  const Vector s0 = sum(0), s1 = sum(1), s2 = sum(2), s3 = sum(3), s4 = sum(4);
  const Vector ones = Vector::sum(s0, s1, s2), twos_a = Vector::majority(s0, s1, s2);
  const Vector bit0 = Vector::sum(ones, s3, s4), twos_b = Vector::majority(ones, s3, s4);
  const Vector c0 = carry(0), c1 = carry(1), c2 = carry(2), c3 = carry(3), c4 = carry(4);
  const Vector twos_c = Vector::sum(c0, c1, c2), fours_a = Vector::majority(c0, c1, c2);
  const Vector twos_d = Vector::sum(c3, c4, twos_a), fours_b = Vector::majority(c3, c4, twos_a);
  const Vector bit1 = Vector::sum(twos_b, twos_c, twos_d), fours_c = Vector::majority(twos_b, twos_c, twos_d);
  return {{bit0, bit1, Vector::sum(fours_a, fours_b, fours_c), Vector::majority(fours_a, fours_b, fours_c)}};
}

// The 16th bit of a unit, left out by unit_sum.
VTSEARCH_ALWAYS_INLINE Vector last_bit(const u8* rows, const u16* picks) {
  return Vector::load(rows + picks[2 * triples]);
}

// The sum of all bits of `Units` units but the last one. The last bits of inner units serve as carry inputs of
// additions.
template <std::size_t Units>
VTSEARCH_ALWAYS_INLINE auto sum_of_units(const u8* rows, const u16* picks) {
  if constexpr (Units == 1) {
    return unit_sum(rows, picks);
  } else {
    constexpr std::size_t left = (Units + 1) / 2;
    const u8* middle_rows = rows + left * unit_stride;
    const u16* middle_picks = picks + left * picks_per_unit;
    Number<counter_bits(unit_bits * Units - 1)> total;
    add(sum_of_units<left>(rows, picks), sum_of_units<Units - left>(middle_rows, middle_picks),
        last_bit(middle_rows - unit_stride, middle_picks - picks_per_unit), total);
    return total;
  }
}

// The running sum for any number of units, kept in memory.
struct LongSum {
  Vector bit[max_counter_bits];
  std::size_t bits;

  template <std::size_t N>
  void add(const Number<N>& number, Vector carry) {
    for (std::size_t i = 0; i < bits; ++i) {
      const Vector a = bit[i], b = i < N ? number.bit[i] : Vector::broadcast(&zeros);
      bit[i] = Vector::sum(a, b, carry);
      carry = Vector::majority(a, b, carry);
    }
  }

  static constexpr u64 zeros = 0;
};

VTSEARCH_NOINLINE LongSum long_sum(const u8* rows, const u16* picks, std::size_t units) {
  LongSum total;
  total.bits = counter_bits(unit_bits * units);
  for (std::size_t i = 0; i < total.bits; ++i) total.bit[i] = Vector::broadcast(&LongSum::zeros);
  constexpr std::size_t step = 4;
  for (; units >= step; units -= step, rows += step * unit_stride, picks += step * picks_per_unit) {
    const Vector carry = last_bit(rows + (step - 1) * unit_stride, picks + (step - 1) * picks_per_unit);
    total.add(sum_of_units<step>(rows, picks), carry);
  }
  for (; units > 0; --units, rows += unit_stride, picks += picks_per_unit) {
    total.add(unit_sum(rows, picks), last_bit(rows, picks));
  }
  return total;
}

// Distances as bits, lowest first; Units = 0 means any number of units.
template <std::size_t Units>
VTSEARCH_ALWAYS_INLINE void distance_bits(const u8* rows, const u16* picks, std::size_t units, Vector* bits) {
  if constexpr (Units == 0) {
    const LongSum total = long_sum(rows, picks, units);
    for (std::size_t i = 0; i < total.bits; ++i) bits[i] = total.bit[i];
  } else {
    const auto sum = sum_of_units<Units>(rows, picks);
    Vector carry = last_bit(rows + (Units - 1) * unit_stride, picks + (Units - 1) * picks_per_unit);
    for (std::size_t i = 0; i < sum.bits; ++i) {
      bits[i] = sum.bit[i] ^ carry;
      carry = sum.bit[i] & carry;
    }
    if constexpr (counter_bits(unit_bits * Units) > sum.bits) bits[sum.bits] = carry;
  }
}

// The carry out of distance + bias, set for items not below the threshold.
template <std::size_t I, std::size_t Bits>
VTSEARCH_ALWAYS_INLINE Vector carried(const Number<Bits>& sum, const u64* bias, Vector carry) {
  if constexpr (I == Bits) {
    return carry;
  } else {
    return carried<I + 1>(sum, bias, Vector::majority(sum.bit[I], Vector::broadcast(bias + I), carry));
  }
}

template <std::size_t Units>
VTSEARCH_ALWAYS_INLINE Vector not_below(const u8* rows, const u16* picks, std::size_t units, const u64* bias) {
  if constexpr (Units == 0) {
    const LongSum total = long_sum(rows, picks, units);
    Vector carry = Vector::broadcast(&LongSum::zeros);
    for (std::size_t i = 0; i < total.bits; ++i) {
      carry = Vector::majority(total.bit[i], Vector::broadcast(bias + i), carry);
    }
    return carry;
  } else {
    const auto sum = sum_of_units<Units>(rows, picks);
    const Vector last = last_bit(rows + (Units - 1) * unit_stride, picks + (Units - 1) * picks_per_unit);
    const Vector carry = carried<0>(sum, bias, last);
    if constexpr (counter_bits(unit_bits * Units) == sum.bits) return carry;
    return carry & Vector::broadcast(bias + sum.bits);
  }
}

VTSEARCH_ALWAYS_INLINE Vector part_of(const u64* words, std::size_t at) {
  return Vector::load(reinterpret_cast<const u8*>(words) + at);
}

template <std::size_t Units>
void scan_block(const u8* rows, const BitSlicedQueries& queries, const BlockItems& allowed, std::size_t block,
                BlockItems* found, u8* any) {
  const std::size_t units = Units == 0 ? queries.units : Units;
  const std::size_t bits = counter_bits(unit_bits * units);
  const u16* picks = queries.picks;
  const u64* bias = queries.bias;
  for (std::size_t q = 0; q < queries.count; ++q, picks += units * picks_per_unit, bias += bits) {
    if (queries.thresholds[q] == 0) continue;
    bool here = false;
    for (std::size_t at = 0; at < row_bytes; at += vector_bytes) {
      const Vector outside = not_below<Units>(rows + at, picks, units, bias);
      const Vector below = Vector::without(part_of(allowed.word, at), outside);
      Vector::store(reinterpret_cast<u8*>(found[q].word) + at, below);
      here |= Vector::any(below);
    }
    any[q] = static_cast<u8>(any[q] | (u8{here} << block));
  }
}

// One mask for each value of the lowest three bits of a distance.
struct LowBits {
  Vector way[8];

  LowBits(Vector a, Vector b, Vector c) {
    const Vector both = a & b, only_a = Vector::without(a, b), only_b = Vector::without(b, a);
    const Vector none = Vector::without(Vector::without(ones(), a), b);
    const Vector pairs[4] = {none, only_a, only_b, both};
    for (std::size_t i = 0; i < 4; ++i) {
      way[i] = Vector::without(pairs[i], c);
      way[4 + i] = pairs[i] & c;
    }
  }

  static Vector ones() {
    constexpr u64 all = ~u64{0};
    return Vector::broadcast(&all);
  }
};

// Adds the number of `items` for each of the eight masks to the counters.
VTSEARCH_ALWAYS_INLINE void count_ways(Vector items, const LowBits& low, u8* counters) {
  for (std::size_t half = 0; half < 2; ++half, counters += row_bytes) {
    const auto count = [&](std::size_t i) { return Vector::popcount(items & low.way[4 * half + i]); };
    const Vector counts = (count(0) | Vector::shift_left<16>(count(1))) |
                          (Vector::shift_left<32>(count(2)) | Vector::shift_left<48>(count(3)));
    Vector::store(counters, Vector::load(counters) + counts);
  }
}

template <std::size_t Units>
void count_block(const u8* rows, const BitSlicedQueries& queries, const BlockItems& allowed, QueryItems allowed_items,
                 u64* counters, QueryItems relevant_items, u64* relevant) {
  const std::size_t units = Units == 0 ? queries.units : Units;
  const std::size_t bits = counter_bits(unit_bits * units);
  const std::size_t octets = unit_bits * units / 8 + 1;  // groups of eight distances
  for (std::size_t q = 0; q < queries.count; ++q) {
    const u64* wanted = relevant_items == nullptr ? nullptr : relevant_items[q];
    for (std::size_t at = 0; at < row_bytes; at += vector_bytes) {
      Vector distance[max_counter_bits];
      distance_bits<Units>(rows + at, queries.picks + q * units * picks_per_unit, units, distance);
      const LowBits low(distance[0], distance[1], distance[2]);
      Vector high[max_counter_bits][2];  // each higher bit, inverted and unchanged
      for (std::size_t i = 3; i < bits; ++i) {
        high[i][0] = Vector::without(LowBits::ones(), distance[i]);
        high[i][1] = distance[i];
      }
      Vector counted = part_of(allowed.word, at);
      if (allowed_items != nullptr) counted = counted & part_of(allowed_items[q], at);
      for (std::size_t octet = 0; octet < octets; ++octet) {
        Vector items = counted;
        for (std::size_t i = 3; i < bits; ++i) items = items & high[i][(octet >> (i - 3)) & 1];
        if (!Vector::any(items)) continue;
        const std::size_t place = (q * octets + octet) * 2 * row_bytes + at;
        count_ways(items, low, reinterpret_cast<u8*>(counters) + place);
        if (wanted == nullptr) continue;
        items = items & part_of(wanted, at);
        if (Vector::any(items)) count_ways(items, low, reinterpret_cast<u8*>(relevant) + place);
      }
    }
  }
}

// Width = 0 means any multiple of a word.
template <std::size_t Width>
VTSEARCH_ALWAYS_INLINE u64 distance_between(const u8* a, const u8* b, std::size_t width) {
  constexpr std::size_t step = Width == 0 || Width > word_width ? word_width : Width;
  u64 distance = 0;
  for (std::size_t at = 0; at < (Width == 0 ? width : Width); at += step) {
    u64 x = 0, y = 0;
    std::memcpy(&x, a + at, step);
    std::memcpy(&y, b + at, step);
    distance += Vector::popcount_word(x ^ y);
  }
  return distance;
}

template <std::size_t Width>
void expand_distances(const u32* numbers, std::size_t count, u32 first, const u8* codes, const u8* query,
                      std::size_t width, u16* distances) {
  const std::size_t bytes = Width == 0 ? width : Width;
  for (std::size_t i = 0; i < count; ++i) {
    distances[i] = static_cast<u16>(distance_between<Width>(codes + (numbers[i] - first) * bytes, query, width));
  }
}

std::size_t count_found(const TileItems& found) {
  u64 count = 0;
  for (unsigned blocks = found.blocks; blocks != 0; blocks &= blocks - 1) {
    for (const u64 word : found.items[static_cast<std::size_t>(trailing_zeros(blocks)) * found.stride].word)
      count += Vector::popcount_word(word);
  }
  return count;
}

void expand(const TileItems& found, u32 first, const u8* codes, const u8* query, std::size_t width, u32* numbers,
            u16* distances) {
  u32* next = numbers;
  for (unsigned blocks = found.blocks; blocks != 0; blocks &= blocks - 1) {
    const auto block = static_cast<u32>(trailing_zeros(blocks));
    const u64* word = found.items[block * found.stride].word;
    unsigned words = 0;  // nonempty words, found without unpredictable branches
    for (std::size_t w = 0; w < block_words; ++w) words |= static_cast<unsigned>(word[w] != 0) << w;
    for (; words != 0; words &= words - 1) {
      const auto w = static_cast<u32>(trailing_zeros(words));
      next += Vector::expand(word[w], first + block * static_cast<u32>(block_items) + 64 * w, next);
    }
  }
  const auto distances_of = width == 2    ? expand_distances<2>
                            : width == 4  ? expand_distances<4>
                            : width == 8  ? expand_distances<8>
                            : width == 16 ? expand_distances<16>
                                          : expand_distances<0>;
  distances_of(numbers, static_cast<std::size_t>(next - numbers), first, codes, query, width, distances);
}

// The 64 planes of `Bytes` bytes of each code: plane p holds bit p % 8 of byte p / 8.
template <std::size_t Bytes>
void bit_slice_column(const u8* codes, std::size_t count, std::size_t width, Planes planes) {
  if (count == block_items) return Vector::bit_slice<Bytes>(codes, width, planes);
  alignas(64) u8 all[block_items * Bytes] = {};
  for (std::size_t i = 0; i < count; ++i) std::memcpy(all + i * Bytes, codes + i * width, Bytes);
  Vector::bit_slice<Bytes>(all, Bytes, planes);
}

// The precomputed rows of one unit from its 16 planes.
void make_rows(Planes planes, u8* rows) {
  const Vector ones = LowBits::ones();
  for (std::size_t at = 0; at < row_bytes; at += vector_bytes) {
    const auto plane = [&](std::size_t p) { return Vector::load(planes[p] + at); };
    const auto put = [&](std::size_t r, Vector v) { Vector::store(rows + r * row_bytes + at, v); };
    for (std::size_t t = 0; t < triples; ++t) {
      const Vector a = plane(3 * t), b = plane(3 * t + 1), c = plane(3 * t + 2);
      const std::size_t sums = t * rows_per_triple, carries = sums + carries_row;
      const Vector sum = Vector::sum(a, b, c);
      put(sums, sum);
      put(sums + 1, sum ^ ones);
      // An inverted bit changes the majority where the other two differ.
      const Vector most = Vector::majority(a, b, c);
      const Vector inverted[4] = {most, Vector::sum(most, b, c), Vector::sum(most, a, c), Vector::sum(most, a, b)};
      const std::size_t query_bits[4] = {0, 1, 2, 4};
      for (std::size_t i = 0; i < 4; ++i) {
        put(carries + query_bits[i], inverted[i]);
        put(carries + (query_bits[i] ^ 7), inverted[i] ^ ones);
      }
    }
    put(last_row, plane(unit_bits - 1));
    put(last_row + 1, plane(unit_bits - 1) ^ ones);
  }
}

void bit_slice(const u8* codes, std::size_t count, std::size_t width, std::size_t units, u8* rows) {
  constexpr std::size_t units_per_column = word_width / unit_bytes;
  const auto bit_slice_column_of = width == 2   ? bit_slice_column<2>
                                   : width == 4 ? bit_slice_column<4>
                                                : bit_slice_column<8>;
  alignas(64) u8 planes[64][row_bytes];
  for (std::size_t unit = 0; unit < units; ++unit) {
    if (unit % units_per_column == 0) bit_slice_column_of(codes + unit * unit_bytes, count, width, planes);
    make_rows(planes + unit % units_per_column * unit_bits, rows + unit * unit_stride);
  }
}

constexpr BitSlicedKernels bit_sliced_kernels() {
  return {Vector::min_queries,
          bit_slice,
          {scan_block<1>, scan_block<2>, scan_block<3>, scan_block<4>, scan_block<5>, scan_block<6>, scan_block<7>,
           scan_block<8>, scan_block<16>, scan_block<0>},
          {count_block<1>, count_block<2>, count_block<3>, count_block<4>, count_block<5>, count_block<6>,
           count_block<7>, count_block<8>, count_block<16>, count_block<0>},
          count_found,
          expand};
}

}  // namespace
}  // namespace vtsearch
