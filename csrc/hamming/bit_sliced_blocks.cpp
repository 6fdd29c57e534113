#include "hamming/bit_sliced_blocks.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "compiler.h"
#include "hamming/padding.h"

namespace vtsearch {
namespace {

std::size_t units_of(std::size_t width) {
  return (width + unit_bytes - 1) / unit_bytes;
}

std::size_t form_of(std::size_t units) {
  return static_cast<std::size_t>(std::find(std::begin(unrolled_units), std::end(unrolled_units), units) -
                                  std::begin(unrolled_units));
}

// Selects the precomputed rows of a block for a query, unit by unit.
class RowPicker {
 public:
  explicit RowPicker(std::uint16_t* picks) : picks_(picks) {}

  // For the next 16 bits.
  void pick_unit(unsigned bits) {
    unsigned sums[joint_adder];
    for (unsigned t = 0; t < triples; ++t) sums[t] = pick((bits >> (3 * t)) & 7);
    sums[5] = pick(sums[0] | sums[1] << 1 | sums[2] << 2);
    sums[6] = pick(sums[3] | sums[4] << 1 | sums[5] << 2);
    parity_ = pick(parity_ | last_ << 1 | sums[6] << 2);
    last_ = bits >> (unit_bits - 1);
  }

  // After the last unit.
  void pick_rest() {
    picks_[0] = offset(parity_);
    picks_[1] = offset(2 + last_);
  }

 private:
  static std::uint16_t offset(std::size_t row) { return static_cast<std::uint16_t>(row * row_bytes); }

  // Returns the sum of the three bits.
  unsigned pick(unsigned three) {
    *picks_++ = offset(adder_++ % adders_per_unit * rows_per_adder + three);
    return static_cast<unsigned>(std::popcount(three) % 2);
  }

  std::uint16_t* picks_;
  std::size_t adder_ = 0;
  unsigned parity_ = 0;  // of the bits before, but the last one
  unsigned last_ = 0;
};

// Prefetches the next block to the second-level cache while the queries scan this one. At the end of a tile the
// addresses may be invalid, which a prefetch ignores.
void fetch_ahead(const std::uint8_t* from, std::size_t bytes) {
  constexpr std::size_t line = 64;
  for (std::size_t at = 0; at < bytes; at += line) prefetch(from + at);
}

}  // namespace

BitSlicedWidthKernels::BitSlicedWidthKernels(const Kernels& kernels, std::size_t width)
    : bit_slice(kernels.bit_sliced.bit_slice),
      scan(kernels.bit_sliced.scan[form_of(units_of(width))]),
      count(kernels.bit_sliced.count[form_of(units_of(width))]),
      found(kernels.bit_sliced.found),
      expand(kernels.bit_sliced.expand) {}

BitSlicedQuerySet::BitSlicedQuerySet(CodeView queries)
    : count_(queries.count),
      units_(units_of(queries.width)),
      bits_(counter_bits(unit_bits * units_)),
      picks_(count_ * picks_of(units_)),
      thresholds_(count_),
      bias_(count_ * bits_) {
  for (std::size_t q = 0; q < count_; ++q) {
    RowPicker picker(picks_.data() + q * picks_of(units_));
    for (std::size_t unit = 0; unit < units_; ++unit) {
      const std::uint8_t* bytes = queries.code(q) + unit * unit_bytes;
      const unsigned high = (unit + 1) * unit_bytes <= queries.width ? bytes[1] : 0u;
      picker.pick_unit(bytes[0] | high << 8);
    }
    picker.pick_rest();
    set_threshold(q, queries.bins());
  }
}

void BitSlicedQuerySet::set_threshold(std::size_t q, std::size_t threshold) {
  thresholds_[q] = static_cast<std::uint16_t>(threshold);
  const std::size_t bias = (std::size_t{1} << bits_) - threshold;
  for (std::size_t i = 0; i < bits_; ++i) bias_[q * bits_ + i] = ((bias >> i) & 1) != 0 ? ~std::uint64_t{0} : 0;
}

BitSlicedBlock::BitSlicedBlock(std::size_t width)
    : units_(units_of(width)), padded_(padded_width(width)), rows_(rows_of(units_) * row_bytes) {}

void BitSlicedBlock::set(const BitSlicedWidthKernels& kernels, const Tile& tile, std::size_t first) {
  const std::size_t count = std::min(block_items, tile.count - first);
  kernels.bit_slice(tile.codes + first * padded_, count, padded_, units_, rows_.data());
  fetch_ahead(tile.codes + (first + count) * padded_, block_items * padded_);
  for (std::size_t w = 0; w < block_words; ++w) {
    const std::size_t here = std::clamp<std::size_t>(count, 64 * w, 64 * w + 64) - 64 * w;
    items_.word[w] = here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
    if (tile.allowed != nullptr) items_.word[w] &= tile.allowed[first / 64 + w];
  }
}

}  // namespace vtsearch
