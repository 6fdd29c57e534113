#include "hamming/tile_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "hamming/bits.h"
#include "simd/kernels.h"

namespace vtsearch {
namespace {

constexpr std::size_t tile_bytes = 16 * 1024;  // half of a first-level cache: distances need the rest
constexpr std::size_t min_items = 1024;
constexpr std::size_t max_items = 4096;
constexpr std::size_t max_streamed_items = 16384;
constexpr std::size_t streamed_tile_bytes = max_streamed_items * 8;
static_assert(max_items <= max_blocks * block_items);

// The groups of 64 items, from multiples of 64, that lie in a range; empty at its end if there is none.
Range whole_words(Range range) {
  const std::size_t begin = std::min((range.begin + 63) / 64 * 64, range.end);
  return {begin, std::max(begin, range.end / 64 * 64)};
}

// Calls visit(first, word) for each group of 64 items, from a multiple of 64, that the range meets; the bits of items
// outside it are 0.
template <class Visit>
void for_each_word(MaskView mask, Range range, Visit&& visit) {
  const Range whole = whole_words(range);
  if (range.begin < whole.begin) visit(range.begin / 64 * 64, mask.word(range.begin, whole.begin));
  for (std::size_t first = whole.begin; first < whole.end; first += 64) visit(first, mask.whole_word(first));
  if (whole.end < range.end) visit(whole.end, mask.word(whole.end, range.end));
}

}  // namespace

std::size_t items_per_tile(std::size_t padded_width) {
  return std::clamp(tile_bytes / padded_width / items_per_group * items_per_group, min_items, max_items);
}

std::size_t items_per_streamed_tile(std::size_t padded_width) {
  return std::clamp(streamed_tile_bytes / padded_width / items_per_group * items_per_group,
                    items_per_tile(padded_width), max_streamed_items);
}

std::size_t allowed_items(MaskView mask, Range range) {
  if (mask.data == nullptr) return range.count();
  const Range whole = whole_words(range);
  std::size_t count = 0;
  if (range.begin < whole.begin) count += count_bits(mask.word(range.begin, whole.begin));
  count += count_bits(mask.data + whole.begin / 8, whole.count() / 64);
  if (whole.end < range.end) count += count_bits(mask.word(whole.end, range.end));
  return count;
}

std::size_t count_allowed_up_to(std::size_t most, MaskView mask, Range range) {
  constexpr std::size_t piece = 4096;
  if (mask.data == nullptr) return std::min(most, range.count());
  std::size_t count = 0;
  for (std::size_t begin = range.begin; begin < range.end && count < most; begin += piece) {
    count += allowed_items(mask, {begin, std::min(begin + piece, range.end)});
  }
  return std::min(count, most);
}

TileReader::TileReader(CodeView codes, MaskView mask, Range range, std::size_t items_per_tile, Masked masked)
    : codes_(codes),
      mask_(mask),
      range_(range),
      position_(range.begin),
      width_(padded_width(codes.width)),
      items_(items_per_tile),
      masked_(masked) {
  const bool masks = mask.data != nullptr, gathers = masks && masked == Masked::gathered;
  if (gathers || width_ != codes.width) buffer_.resize(items_ * width_);
  if (gathers) numbers_.resize(items_);
  if (masks && masked == Masked::marked) {
    allowed_.resize((items_ + block_items - 1) / block_items * block_words);
    position_ -= position_ % 64;  // with the words of the mask; the numbers of items before the range wrap around
  }
}

bool TileReader::next(Tile& tile) {
  if (mask_.data != nullptr && masked_ == Masked::gathered) return next_gathered(tile);
  while (position_ < range_.end) {
    const std::size_t first = position_, count = std::min(items_, range_.end - position_);
    position_ += count;
    if (!is_allowed(first, count)) continue;
    tile = {padded(first, count), count, nullptr, static_cast<std::uint32_t>(first - range_.begin),
            allowed_.empty() ? nullptr : allowed_.data()};
    return true;
  }
  return false;
}

// Whether one of items first .. first + count - 1 is allowed. Sets their bitmap, if tiles have one.
bool TileReader::is_allowed(std::size_t first, std::size_t count) {
  if (mask_.data == nullptr) return true;
  return masked_ == Masked::marked ? mark(first, count) : count_allowed_up_to(1, mask_, {first, first + count}) != 0;
}

bool TileReader::mark(std::size_t first, std::size_t count) {
  std::uint64_t any = 0;
  for_each_word(mask_, {std::max(first, range_.begin), first + count}, [&](std::size_t item, std::uint64_t word) {
    allowed_[(item - first) / 64] = word;
    any |= word;
  });
  return any != 0;
}

const std::uint8_t* TileReader::padded(std::size_t first, std::size_t count) {
  if (width_ == codes_.width) return codes_.code(first);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(buffer_.data() + i * width_, codes_.code(first + i), codes_.width);
  }
  return buffer_.data();
}

// Gathers allowed codes until the tile is full. Runs of masked items are skipped 64 at a time.
bool TileReader::next_gathered(Tile& tile) {
  std::size_t count = 0;
  while (position_ < range_.end && count < items_) {
    const std::size_t end = std::min(position_ - position_ % 64 + 64, range_.end);
    for (std::uint64_t word = mask_.word(position_, end); word != 0 && count < items_; word &= word - 1) {
      const std::size_t item = position_ - position_ % 64 + static_cast<std::size_t>(std::countr_zero(word));
      std::memcpy(buffer_.data() + count * width_, codes_.code(item), codes_.width);
      numbers_[count++] = static_cast<std::uint32_t>(item - range_.begin);
    }
    position_ = count < items_ ? end : range_.begin + numbers_[count - 1] + 1;
  }
  tile = {buffer_.data(), count, numbers_.data(), 0};
  return count > 0;
}

}  // namespace vtsearch
