// Groups of items, and copies of their codes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"
#include "hamming/read_windows.h"

namespace vtsearch {

// Largest number of items of all groups: codes are numbered by 32 bits.
inline constexpr std::size_t max_group_items = std::size_t{1} << 31;

// The items of group g are items[offsets[g]] .. items[offsets[g + 1] - 1].
struct GroupView {
  const std::int64_t* items;
  const std::int64_t* offsets;
  std::size_t count;

  std::size_t begin(std::size_t group) const { return static_cast<std::size_t>(offsets[group]); }
  std::size_t size(std::size_t group) const { return begin(group + 1) - begin(group); }
  std::span<const std::int64_t> operator[](std::size_t group) const { return {items + begin(group), size(group)}; }
};

// Copies of the codes of some items, padded; first one for each item.
class GroupCodes {
 public:
  explicit GroupCodes(std::size_t width);

  void append(CodeView codes, std::span<const std::int64_t> items);

  std::size_t count() const { return codes_.size() / padded_; }
  std::size_t bins() const { return 8 * width_ + 1; }
  CodeView view() const { return {codes_.data(), count(), padded_}; }
  const std::uint8_t* code(std::size_t i) const { return codes_.data() + i * padded_; }

  // Writes the code with all bits inverted, at a distance of 8 * width - d from each at distance d from the code.
  void invert(std::size_t i, std::uint8_t* out) const;

  // The number of bits that are not the same in all codes: no distance is larger.
  std::size_t varying_bits() const;

  // Leaves of equal codes the first one, in the same order.
  void remove_repeats(CancellationPoint& cancellation_point);

  // The number of each item's code.
  const std::vector<std::uint32_t>& numbers() const { return numbers_; }

  // Puts the code with number order[i] at place i; the numbers of items are lost.
  void reorder(const std::vector<std::uint32_t>& order);

 private:
  std::vector<std::uint32_t> first_equal(CancellationPoint& cancellation_point) const;

  std::size_t width_;
  std::size_t padded_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint32_t> numbers_;
};

// Reads the codes of groups, releases the pages of a file that have been read, and reports how far the work is.
class GroupReader {
 public:
  GroupReader(CodeView codes, const GroupView& groups, const ReadWindows& windows)
      : codes_(codes), groups_(groups), windows_(windows) {}

  // Codes of more items than a window has are read without repeats, so that they need no more memory than two windows,
  // or twice that of those that differ.
  GroupCodes read(std::size_t group, CancellationPoint& cancellation_point);

  // Call it from any thread, with the number of items that are done and of pairs that were compared.
  void done(std::size_t items, std::size_t pairs, const CancellationPoint& cancellation_point);

 private:
  CodeView codes_;
  const GroupView& groups_;
  const ReadWindows& windows_;
  std::atomic<std::size_t> read_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> pairs_{0};
  std::size_t reported_ = 0;  // pairs
};

}  // namespace vtsearch
