#include "hamming/block_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hamming/code_keys.h"

namespace vtsearch {
namespace {

// Sets of blocks of a plan, at most, unless the fewest blocks have more.
constexpr double most_sets = 1000;

// Times in units of a comparison of a pair in a scan, measured on one core: sorting a code into the table of a set, and
// comparing two codes of a bucket.
constexpr double item_of_set = 1700.0;
constexpr double pair_of_set = 2.0;

double binomial(std::size_t n, std::size_t k) {
  double ways = 1;
  for (std::size_t i = 0; i < k; ++i) ways *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  return ways;
}

// Calls visit(numbers) for every set of `chosen` of `count` numbers, in ascending order.
template <class Visit>
void for_each_set(std::size_t count, std::size_t chosen, Visit&& visit) {
  std::vector<std::size_t> numbers(chosen);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  for (;;) {
    visit(numbers);
    std::size_t at = chosen;
    while (at > 0 && numbers[at - 1] == count - chosen + at - 1) --at;
    if (at == 0) return;
    for (std::size_t value = numbers[at - 1] + 1; at <= chosen; ++at) numbers[at - 1] = value++;
  }
}

// All bits, those first that differ between most pairs of the sample.
std::vector<std::size_t> bits_by_use(CodeView sample) {
  std::vector<std::size_t> ones(8 * sample.width), bits(8 * sample.width);
  for (std::size_t i = 0; i < sample.count; ++i) {
    for (std::size_t b = 0; b < bits.size(); ++b) ones[b] += (sample.code(i)[b / 8] >> (7 - b % 8)) & 1;
  }
  std::iota(bits.begin(), bits.end(), std::size_t{0});
  const auto differing = [&](std::size_t bit) { return ones[bit] * (sample.count - ones[bit]); };
  std::stable_sort(bits.begin(), bits.end(), [&](std::size_t a, std::size_t b) { return differing(a) > differing(b); });
  return bits;
}

// Deals bits to blocks, forwards and backwards in turns.
std::vector<Mask> deal(const std::vector<std::size_t>& bits, std::size_t width, std::size_t blocks) {
  std::vector<Mask> dealt(blocks, Mask(width));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const std::size_t turn = i % (2 * blocks), block = turn < blocks ? turn : 2 * blocks - 1 - turn;
    dealt[block][bits[i] / 8] |= static_cast<std::uint8_t>(0x80 >> bits[i] % 8);
  }
  return dealt;
}

// Pairs of codes with equal keys, for each pair of codes.
double share_of_equal_keys(CodeView sample, const Mask& mask, std::vector<std::uint64_t>& keys) {
  keys.clear();
  for (std::size_t i = 0; i < sample.count; ++i) keys.push_back(key_of(sample.code(i), mask.data(), sample.width));
  std::sort(keys.begin(), keys.end());
  double pairs = 0;
  for (std::size_t i = 0, run = 0; i < keys.size(); ++i, ++run) {
    if (i > 0 && keys[i] != keys[i - 1]) run = 0;
    pairs += static_cast<double>(run);
  }
  const auto n = static_cast<double>(sample.count);
  return n < 2 ? 0 : pairs / (n * (n - 1) / 2);
}

double time_of(const BlockPlan& plan, CodeView sample, std::size_t count, double most,
               CancellationPoint& cancellation_point) {
  const auto n = static_cast<double>(count);
  double time = binomial(plan.blocks.size(), plan.chosen) * n * item_of_set;
  std::vector<std::uint64_t> keys;
  if (time >= most) return most;
  for (const Mask& set : plan.sets()) {
    cancellation_point();
    time += n * n / 2 * share_of_equal_keys(sample, set, keys) * pair_of_set;
    if (time >= most) return most;
  }
  return time;
}

}  // namespace

std::vector<Mask> BlockPlan::sets() const {
  std::vector<Mask> sets;
  for_each_set(blocks.size(), chosen, [&](const std::vector<std::size_t>& numbers) {
    Mask& set = sets.emplace_back(blocks.front().size());
    for (const std::size_t number : numbers) {
      for (std::size_t i = 0; i < set.size(); ++i) set[i] |= blocks[number][i];
    }
  });
  return sets;
}

BlockPlan plan_blocks(CodeView sample, std::size_t count, std::size_t radius, CancellationPoint& cancellation_point) {
  const std::vector<std::size_t> bits = bits_by_use(sample);
  BlockPlan best{{}, 0, std::numeric_limits<double>::infinity()};
  for (std::size_t chosen = 1; radius + chosen <= bits.size(); ++chosen) {
    const std::size_t blocks = radius + chosen;
    if (chosen > 1 && binomial(blocks, chosen) > most_sets) break;
    BlockPlan plan{deal(bits, sample.width, blocks), chosen, 0};
    plan.time = time_of(plan, sample, count, best.time, cancellation_point);
    if (plan.time < best.time) best = std::move(plan);
  }
  return best;
}

}  // namespace vtsearch
