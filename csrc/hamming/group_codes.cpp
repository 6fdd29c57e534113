#include "hamming/group_codes.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "hamming/bits.h"
#include "hamming/padding.h"

namespace vtsearch {

GroupCodes::GroupCodes(std::size_t width) : width_(width), padded_(padded_width(width)) {}

void GroupCodes::append(CodeView codes, std::span<const std::int64_t> items) {
  std::uint32_t number = static_cast<std::uint32_t>(count());
  codes_.reserve(codes_.size() + items.size() * padded_);
  for (const std::int64_t item : items) {
    append_padded(codes.code(static_cast<std::size_t>(item)), width_, codes_);
    numbers_.push_back(number++);
  }
}

void GroupCodes::invert(std::size_t i, std::uint8_t* out) const {
  std::fill_n(out + width_, padded_ - width_, std::uint8_t{0});
  for (std::size_t b = 0; b < width_; ++b) out[b] = static_cast<std::uint8_t>(~code(i)[b]);
}

std::size_t GroupCodes::varying_bits() const {
  std::vector<std::uint8_t> varying(padded_);
  for (std::size_t i = 1; i < count(); ++i) {
    for (std::size_t b = 0; b < padded_; ++b) varying[b] |= static_cast<std::uint8_t>(code(i)[b] ^ code(0)[b]);
  }
  return std::accumulate(varying.begin(), varying.end(), std::size_t{0},
                         [](std::size_t sum, std::uint8_t byte) { return sum + count_bits(byte); });
}

void GroupCodes::remove_repeats(CancellationPoint& cancellation_point) {
  std::vector<std::uint32_t> number = first_equal(cancellation_point);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < number.size(); ++i) {
    if (number[i] != i) {
      number[i] = number[number[i]];
      continue;
    }
    if (kept != i) std::memcpy(codes_.data() + kept * padded_, code(i), padded_);
    number[i] = kept++;
  }
  codes_.resize(kept * padded_);
  for (std::uint32_t& each : numbers_) each = number[each];
}

// For each code the number of the first one that is equal.
std::vector<std::uint32_t> GroupCodes::first_equal(CancellationPoint& cancellation_point) const {
  constexpr std::size_t comparisons_per_check = 65536;
  std::vector<std::uint32_t> order(count()), first(count());
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  std::size_t comparisons = 0;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (++comparisons % comparisons_per_check == 0) cancellation_point();
    const int compared = std::memcmp(code(a), code(b), padded_);
    return compared != 0 ? compared < 0 : a < b;
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool repeated = i > 0 && std::memcmp(code(order[i]), code(order[i - 1]), padded_) == 0;
    first[order[i]] = repeated ? first[order[i - 1]] : order[i];
  }
  return first;
}

void GroupCodes::reorder(const std::vector<std::uint32_t>& order) {
  std::vector<std::uint8_t> codes;
  codes.reserve(codes_.size());
  for (const std::uint32_t i : order) codes.insert(codes.end(), code(i), code(i) + padded_);
  codes_ = std::move(codes);
}

GroupCodes GroupReader::read(std::size_t group, CancellationPoint& cancellation_point) {
  const std::span<const std::int64_t> items = groups_[group];
  GroupCodes codes(codes_.width);
  std::size_t most = windows_.items;
  for (std::size_t begin = 0, count; begin < items.size(); begin += count) {
    count = std::min(windows_.items, items.size() - begin);
    codes.append(codes_, items.subspan(begin, count));
    const std::size_t before = read_.fetch_add(count);
    const bool is_full = before / windows_.items != (before + count) / windows_.items;
    if (is_full && windows_.release) windows_.release({0, codes_.count});
    if (items.size() <= windows_.items || codes.count() < most) continue;
    codes.remove_repeats(cancellation_point);
    most = std::max(windows_.items, 2 * codes.count());
  }
  return codes;
}

void GroupReader::done(std::size_t items, std::size_t pairs, const CancellationPoint& cancellation_point) {
  const std::size_t all_items = done_.fetch_add(items) + items, all_pairs = pairs_.fetch_add(pairs) + pairs;
  if (cancellation_point.thread() != 0 || !windows_.report || all_pairs - reported_ < windows_.pairs) return;
  reported_ = all_pairs;
  windows_.report(all_items);
}

}  // namespace vtsearch
