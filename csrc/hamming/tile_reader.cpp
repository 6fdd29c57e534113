#include "hamming/tile_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "simd/kernels.h"

namespace vtsearch {
namespace {

constexpr std::size_t tile_bytes = 16 * 1024;  // half of a first-level cache: distances need the rest
constexpr std::size_t min_items = 1024;
constexpr std::size_t max_items = 4096;
constexpr std::size_t max_streamed_items = 16384;
constexpr std::size_t streamed_tile_bytes = max_streamed_items * 8;
static_assert(max_items <= max_blocks * block_items);

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
  std::size_t count = 0;
  for (std::size_t i = range.begin; i < range.end; i += 64 - i % 64) {
    count += static_cast<std::size_t>(std::popcount(mask.word(i, std::min(i - i % 64 + 64, range.end))));
  }
  return count;
}

TileReader::TileReader(CodeView codes, MaskView mask, Range range, std::size_t items_per_tile)
    : codes_(codes),
      mask_(mask),
      range_(range),
      position_(range.begin),
      width_(padded_width(codes.width)),
      items_(items_per_tile) {
  if (mask.data != nullptr || width_ != codes.width) buffer_.resize(items_ * width_);
  if (mask.data != nullptr) numbers_.resize(items_);
}

bool TileReader::next(Tile& tile) {
  if (mask_.data != nullptr) return next_masked(tile);
  if (position_ == range_.end) return false;
  const std::size_t count = std::min(items_, range_.end - position_);
  tile = {padded(position_, count), count, nullptr, static_cast<std::uint32_t>(position_ - range_.begin)};
  position_ += count;
  return true;
}

const std::uint8_t* TileReader::padded(std::size_t first, std::size_t count) {
  if (width_ == codes_.width) return codes_.code(first);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(buffer_.data() + i * width_, codes_.code(first + i), codes_.width);
  }
  return buffer_.data();
}

// Gathers allowed codes until the tile is full. Runs of masked items are skipped 64 at a time.
bool TileReader::next_masked(Tile& tile) {
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
