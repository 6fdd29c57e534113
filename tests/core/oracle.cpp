#include "oracle.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "problem.h"

namespace vtsearch {
namespace {

constexpr std::array<std::int32_t, 256> bit_counts = [] {
  std::array<std::int32_t, 256> counts{};
  for (std::size_t byte = 1; byte < counts.size(); ++byte) counts[byte] = counts[byte / 2] + (byte % 2 != 0);
  return counts;
}();

std::size_t shared_classes(LabelView labels, std::size_t item, LabelView other_labels, std::size_t other) {
  std::size_t shared = 0;
  for (const std::int32_t* c = labels.begin(item); c != labels.end(item); ++c) {
    shared += std::find(other_labels.begin(other), other_labels.end(other), *c) != other_labels.end(other);
  }
  return shared;
}

}  // namespace

std::int32_t naive_distance(const std::uint8_t* a, const std::uint8_t* b, std::size_t width) {
  std::int32_t distance = 0;
  for (std::size_t i = 0; i < width; ++i) distance += bit_counts[a[i] ^ b[i]];
  return distance;
}

std::int32_t naive_distance(const Problem& problem, std::size_t query, std::size_t item) {
  const Queries queries = problem.query_view();
  const std::uint8_t *code = queries.code(query), *other = problem.database_view().code(item);
  if (queries.weights == nullptr) return naive_distance(code, other, queries.width);
  std::int32_t distance = 0;
  for (std::size_t i = 0; i < 8 * queries.width; ++i) {
    const bool differs = ((code[i / 8] ^ other[i / 8]) >> (7 - i % 8) & 1) != 0;
    distance += differs ? queries.weights_of(query)[i] : 0;
  }
  return distance;
}

std::vector<std::int64_t> naive_groups(const Problem& problem, std::size_t radius) {
  const CodeView codes = problem.database_view();
  std::vector<std::int64_t> groups(codes.count, -1);
  for (std::size_t first = 0; first < codes.count; ++first) {
    if (groups[first] >= 0) continue;
    groups[first] = static_cast<std::int64_t>(first);
    std::vector<std::size_t> reached = {first};
    while (!reached.empty()) {
      const std::size_t from = reached.back();
      reached.pop_back();
      for (std::size_t i = 0; i < codes.count; ++i) {
        const auto distance = static_cast<std::size_t>(naive_distance(codes.code(from), codes.code(i), codes.width));
        if (groups[i] >= 0 || distance > radius) continue;
        groups[i] = static_cast<std::int64_t>(first);
        reached.push_back(i);
      }
    }
  }
  return groups;
}

std::vector<std::int64_t> naive_groups_within(const Problem& problem, std::size_t radius, std::size_t limit) {
  const CodeView codes = problem.database_view();
  const auto apart = [&](std::size_t a, std::size_t b) {
    return static_cast<std::size_t>(naive_distance(codes.code(a), codes.code(b), codes.width));
  };
  std::vector<std::int64_t> groups(codes.count, -1);
  for (std::size_t first = 0; first < codes.count; ++first) {
    if (groups[first] >= 0) continue;
    std::vector<std::size_t> members;
    for (std::size_t joining = first; joining < codes.count;) {
      members.push_back(joining);
      groups[joining] = static_cast<std::int64_t>(first);
      joining = codes.count;
      for (std::size_t i = 0; i < codes.count; ++i) {
        const auto is_linked = [&](std::size_t member) { return apart(member, i) <= radius; };
        const auto is_within = [&](std::size_t member) { return apart(member, i) <= limit; };
        if (groups[i] >= 0 || !std::ranges::any_of(members, is_linked) || !std::ranges::all_of(members, is_within)) {
          continue;
        }
        if (joining == codes.count || apart(first, i) < apart(first, joining)) joining = i;
      }
    }
  }
  return groups;
}

std::int64_t naive_diameter(const Problem& problem, const std::vector<std::int64_t>& groups, std::int64_t group) {
  const CodeView codes = problem.database_view();
  std::int64_t diameter = 0;
  for (std::size_t a = 0; a < codes.count; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (groups[a] != group || groups[b] != group) continue;
      diameter = std::max<std::int64_t>(diameter, naive_distance(codes.code(a), codes.code(b), codes.width));
    }
  }
  return diameter;
}

Answers::Answers(const Problem& problem)
    : bins(problem.query_view().bins()),
      rankings(problem.shape.queries),
      items(problem.shape.queries * bins),
      relevant(problem.shape.queries * bins),
      gains(problem.shape.queries * bins),
      exponential_gains(problem.shape.queries * bins),
      most_shared(std::min(problem.query_labels.view().most(problem.shape.queries),
                           problem.db_labels.view().most(problem.shape.items))),
      gain_items(problem.shape.queries * (most_shared + 1)),
      items_per_query_(problem.shape.items) {
  for (std::size_t q = 0; q < problem.shape.queries; ++q) answer(problem, q);
}

void Answers::answer(const Problem& problem, std::size_t q) {
  std::vector<std::vector<std::int64_t>> at_distance(bins);
  for (std::size_t i = 0; i < problem.shape.items; ++i) {
    const std::int32_t distance = naive_distance(problem, q, i);
    const std::size_t both = shared_classes(problem.query_labels.view(), q, problem.db_labels.view(), i);
    const std::size_t bin = q * bins + static_cast<std::size_t>(distance);
    distances.push_back(distance);
    shared.push_back(both);
    if (!problem.masks().of(q).allows(i)) continue;
    at_distance[static_cast<std::size_t>(distance)].push_back(static_cast<std::int64_t>(i));
    ++items[bin];
    relevant[bin] += both > 0;
    gains[bin] += static_cast<double>(both);
    ++gain_items[q * (most_shared + 1) + both];
    exponential_gains[bin] += std::exp2(static_cast<double>(both)) - 1.0;
  }
  for (std::size_t d = 0; d < bins; ++d) {
    for (const std::int64_t i : at_distance[d]) rankings[q].push_back({static_cast<std::int32_t>(d), i});
  }
}

double Answers::average_precision(std::size_t query, std::size_t k, Normalizer normalizer) const {
  const std::vector<Found>& ranking = rankings[query];
  double sum = 0.0;
  std::size_t met = 0, retrieved = 0;
  for (std::size_t place = 1; place <= ranking.size(); ++place) {
    const auto item = static_cast<std::size_t>(ranking[place - 1].index);
    if (shared[query * items_per_query_ + item] == 0) continue;
    ++met;
    if (place > k) continue;
    ++retrieved;
    sum += static_cast<double>(met) / static_cast<double>(place);
  }
  const std::size_t divisor = normalizer == Normalizer::retrieved  ? retrieved
                              : normalizer == Normalizer::relevant ? met
                                                                   : std::min(met, k);
  return divisor == 0 ? 0.0 : sum / static_cast<double>(divisor);
}

}  // namespace vtsearch
