#include "hamming/tiles.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vtsearch {
namespace {

constexpr std::size_t tile_bytes = 16 * 1024;  // half of a first-level cache: the distances want the rest
constexpr std::size_t fewest_items = 1024;
constexpr std::size_t most_items = 4096;

}  // namespace

std::size_t padded_width(std::size_t width) {
  for (std::size_t narrow : narrow_widths) {
    if (width <= narrow) return narrow;
  }
  return width <= wide_width ? wide_width : (width + word_width - 1) / word_width * word_width;
}

std::vector<std::uint8_t> padded_codes(CodeView codes) {
  const std::size_t width = padded_width(codes.width);
  std::vector<std::uint8_t> padded(codes.count * width);
  for (std::size_t i = 0; i < codes.count; ++i) std::memcpy(padded.data() + i * width, codes.code(i), codes.width);
  return padded;
}

std::size_t items_per_tile(std::size_t padded_width) {
  return std::clamp(tile_bytes / padded_width / items_per_group * items_per_group, fewest_items, most_items);
}

std::size_t allowed_items(MaskView mask, Range range) {
  if (mask.data == nullptr) return range.count();
  std::size_t count = 0;
  std::size_t i = range.begin;
  for (; i < range.end && i % 8 != 0; ++i) count += mask.allows(i);
  for (; i + 64 <= range.end; i += 64) {
    std::uint64_t word;
    std::memcpy(&word, mask.data + i / 8, sizeof word);
    count += static_cast<std::size_t>(std::popcount(word));
  }
  for (; i < range.end; ++i) count += mask.allows(i);
  return count;
}

TileReader::TileReader(CodeView codes, MaskView mask, Range range)
    : codes_(codes),
      mask_(mask),
      range_(range),
      position_(range.begin),
      width_(padded_width(codes.width)),
      items_(items_per_tile(width_)) {
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

// Gathers allowed codes until a tile is full; empty bytes of the mask are skipped whole.
bool TileReader::next_masked(Tile& tile) {
  std::size_t count = 0;
  while (position_ < range_.end && count < items_) {
    if (position_ % 8 == 0 && mask_.data[position_ / 8] == 0) {
      position_ = std::min(position_ + 8, range_.end);
      continue;
    }
    if (mask_.allows(position_)) {
      std::memcpy(buffer_.data() + count * width_, codes_.code(position_), codes_.width);
      numbers_[count++] = static_cast<std::uint32_t>(position_ - range_.begin);
    }
    ++position_;
  }
  tile = {buffer_.data(), count, numbers_.data(), 0};
  return count > 0;
}

}  // namespace vtsearch
