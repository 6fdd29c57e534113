// Reference results, computed directly from the definitions.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "hamming/average_precision.h"

namespace vtsearch {

struct Problem;

std::int32_t naive_distance(const std::uint8_t* a, const std::uint8_t* b, std::size_t width);

// The distance of an item of the database to a query, whose bits may have weights.
std::int32_t naive_distance(const Problem& problem, std::size_t query, std::size_t item);

// For each item of the database the smallest item of its connected component.
std::vector<std::int64_t> naive_groups(const Problem& problem, std::size_t radius);

// For each item of the database the smallest item of its group, none of which has a larger diameter than the limit.
std::vector<std::int64_t> naive_groups_within(const Problem& problem, std::size_t radius, std::size_t limit);

// The largest distance between two items of a group, given the smallest item of each item's group.
std::int64_t naive_diameter(const Problem& problem, const std::vector<std::int64_t>& groups, std::int64_t group);

struct Found {
  std::int32_t distance;
  std::int64_t index;

  auto operator<=>(const Found&) const = default;
};

// Matrices are row-major with one row per query.
struct Answers {
  explicit Answers(const Problem& problem);

  // Average precision at k over the allowed items, with ties broken by index.
  double average_precision(std::size_t query, std::size_t k, Normalizer normalizer) const;

  std::size_t bins;
  std::vector<std::int32_t> distances;       // (queries, items), including masked items
  std::vector<std::size_t> shared;           // (queries, items): number of classes shared by query and item
  std::vector<std::vector<Found>> rankings;  // for each query the allowed items by (distance, index)

  // Histograms of the allowed items, of shape (queries, bins).
  std::vector<std::int64_t> items;
  std::vector<std::int64_t> relevant;
  std::vector<double> gains;
  std::vector<double> exponential_gains;

  std::size_t most_shared;
  std::vector<std::int64_t> gain_items;  // (queries, most_shared + 1): allowed items by the number of shared classes

 private:
  void answer(const Problem& problem, std::size_t query);

  std::size_t items_per_query_;
};

}  // namespace vtsearch
