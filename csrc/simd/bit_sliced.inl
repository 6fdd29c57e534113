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

// The sum of the carries of a unit's first seven adders.
VTSEARCH_ALWAYS_INLINE Number<3> unit_sum(const u8* rows, const u16* picks) {
  const auto carry = [&](std::size_t t) { return Vector::load(rows + picks[t]); };
  const Vector c0 = carry(0), c1 = carry(1), c2 = carry(2), c3 = carry(3), c4 = carry(4), c5 = carry(5), c6 = carry(6);
  const Vector ones_a = Vector::sum(c0, c1, c2), twos_a = Vector::majority(c0, c1, c2);
  const Vector ones_b = Vector::sum(c3, c4, c5), twos_b = Vector::majority(c3, c4, c5);
  const Vector bit0 = Vector::sum(ones_a, ones_b, c6), twos_c = Vector::majority(ones_a, ones_b, c6);
  return {{bit0, Vector::sum(twos_a, twos_b, twos_c), Vector::majority(twos_a, twos_b, twos_c)}};
}

// The carry of a unit's last adder, left out by unit_sum. It is 0 in the first unit.
VTSEARCH_ALWAYS_INLINE Vector joint_carry(const u8* rows, const u16* picks) {
  return Vector::load(rows + picks[joint_adder]);
}

// The sum of the carries of `Units` units but the first joint one. The others serve as carry inputs of additions.
template <std::size_t Units>
VTSEARCH_ALWAYS_INLINE auto sum_of_units(const u8* rows, const u16* picks) {
  if constexpr (Units == 1) {
    return unit_sum(rows, picks);
  } else {
    constexpr std::size_t left = (Units + 1) / 2;
    const u8* middle_rows = rows + left * unit_stride;
    const u16* middle_picks = picks + left * adders_per_unit;
    Number<counter_bits(adders_per_unit * Units - 1)> total;
    add(sum_of_units<left>(rows, picks), sum_of_units<Units - left>(middle_rows, middle_picks),
        joint_carry(middle_rows, middle_picks), total);
    return total;
  }
}

// The two rows of the lowest weight that remain.
struct Rest {
  Vector parity;
  Vector last;

  VTSEARCH_ALWAYS_INLINE Rest(const u8* rows, const u16* picks, std::size_t units)
      : parity(Vector::load(rows + units * unit_stride + picks[units * adders_per_unit])),
        last(Vector::load(rows + units * unit_stride + picks[units * adders_per_unit + 1])) {}
};

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
  total.bits = counter_bits(adders_per_unit * units);
  for (std::size_t i = 0; i < total.bits; ++i) total.bit[i] = Vector::broadcast(&LongSum::zeros);
  constexpr std::size_t step = 4;
  for (; units >= step; units -= step, rows += step * unit_stride, picks += step * adders_per_unit) {
    total.add(sum_of_units<step>(rows, picks), joint_carry(rows, picks));
  }
  for (; units > 0; --units, rows += unit_stride, picks += adders_per_unit) {
    total.add(unit_sum(rows, picks), joint_carry(rows, picks));
  }
  return total;
}

// Distances as bits, lowest first; Units = 0 means any number of units.
template <std::size_t Units>
VTSEARCH_ALWAYS_INLINE void distance_bits(const u8* rows, const u16* picks, std::size_t units, Vector* bits) {
  const Rest rest(rows, picks, units);
  bits[0] = rest.parity ^ rest.last;
  Vector carry = rest.parity & rest.last;
  const auto add_carry = [&](const auto& sum, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      bits[i + 1] = sum.bit[i] ^ carry;
      carry = sum.bit[i] & carry;
    }
  };
  if constexpr (Units == 0) {
    const LongSum sum = long_sum(rows, picks, units);
    add_carry(sum, sum.bits);
  } else {
    const auto sum = sum_of_units<Units>(rows, picks);
    add_carry(sum, sum.bits);
    if constexpr (counter_bits(unit_bits * Units) > sum.bits + 1) bits[sum.bits + 1] = carry;
  }
}

// The carry out of sum + bias, set for items not below the threshold.
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
  const Rest rest(rows, picks, units);
  Vector carry = Vector::majority(rest.parity, rest.last, Vector::broadcast(bias));
  if constexpr (Units == 0) {
    const LongSum sum = long_sum(rows, picks, units);
    for (std::size_t i = 0; i < sum.bits; ++i) {
      carry = Vector::majority(sum.bit[i], Vector::broadcast(bias + 1 + i), carry);
    }
    return carry;
  } else {
    const auto sum = sum_of_units<Units>(rows, picks);
    carry = carried<0>(sum, bias + 1, carry);
    if constexpr (counter_bits(unit_bits * Units) == sum.bits + 1) return carry;
    return carry & Vector::broadcast(bias + 1 + sum.bits);
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
  for (std::size_t q = 0; q < queries.count; ++q, picks += picks_of(units), bias += bits) {
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
      distance_bits<Units>(rows + at, queries.picks + q * picks_of(units), units, distance);
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

// Stores the eight carries of a + b + c, by which of them are inverted, and returns the sum.
VTSEARCH_ALWAYS_INLINE Vector put_adder(Vector a, Vector b, Vector c, u8* rows) {
  const auto put = [&](std::size_t inverted, Vector carry) {
    Vector::store(rows + inverted * row_bytes, carry);
    Vector::store(rows + (inverted ^ 7) * row_bytes, carry ^ LowBits::ones());
  };
  const Vector carry = Vector::majority(a, b, c);
  put(0, carry);
  put(1, Vector::sum(carry, b, c));  // changes where the other two differ
  put(2, Vector::sum(carry, a, c));
  put(4, Vector::sum(carry, a, b));
  return Vector::sum(a, b, c);
}

// What the units before leave, as planes: the parity of their bits but the last one, and that bit.
struct Left {
  alignas(64) u8 parity[row_bytes] = {};
  alignas(64) u8 last[row_bytes] = {};
};

// The rows of one unit from its 16 planes.
void make_rows(Planes planes, u8* rows, Left& left) {
  for (std::size_t at = 0; at < row_bytes; at += vector_bytes) {
    const auto plane = [&](std::size_t p) { return Vector::load(planes[p] + at); };
    const auto put = [&](std::size_t adder, Vector a, Vector b, Vector c) {
      return put_adder(a, b, c, rows + adder * rows_per_adder * row_bytes + at);
    };
    Vector sums[triples];
    for (std::size_t t = 0; t < triples; ++t) sums[t] = put(t, plane(3 * t), plane(3 * t + 1), plane(3 * t + 2));
    const Vector sum = put(6, sums[3], sums[4], put(5, sums[0], sums[1], sums[2]));
    Vector::store(left.parity + at,
                  put(joint_adder, Vector::load(left.parity + at), Vector::load(left.last + at), sum));
    Vector::store(left.last + at, plane(unit_bits - 1));
  }
}

// The rows after the last unit.
void put_left(const Left& left, u8* rows) {
  for (std::size_t at = 0; at < row_bytes; at += vector_bytes, rows += vector_bytes) {
    const Vector parity = Vector::load(left.parity + at), last = Vector::load(left.last + at);
    const Vector all[4] = {parity, parity ^ LowBits::ones(), last, last ^ LowBits::ones()};
    for (std::size_t r = 0; r < 4; ++r) Vector::store(rows + r * row_bytes, all[r]);
  }
}

void bit_slice(const u8* codes, std::size_t count, std::size_t width, std::size_t units, u8* rows) {
  constexpr std::size_t units_per_column = word_width / unit_bytes;
  const auto bit_slice_column_of = width == 2   ? bit_slice_column<2>
                                   : width == 4 ? bit_slice_column<4>
                                                : bit_slice_column<8>;
  alignas(64) u8 planes[64][row_bytes];
  Left left;
  for (std::size_t unit = 0; unit < units; ++unit) {
    if (unit % units_per_column == 0) bit_slice_column_of(codes + unit * unit_bytes, count, width, planes);
    make_rows(planes + unit % units_per_column * unit_bits, rows + unit * unit_stride, left);
  }
  put_left(left, rows + units * unit_stride);
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
