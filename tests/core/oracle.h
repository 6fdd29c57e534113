// The answers, computed as their definitions read: one pair, one comparison at a time.
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

// For each item of the database the smallest that a chain of steps within the radius leads to.
std::vector<std::int64_t> naive_groups(const Problem& problem, std::size_t radius);

struct Found {
  std::int32_t distance;
  std::int64_t index;

  auto operator<=>(const Found&) const = default;
};

// Matrices stand row by row, one row a query.
struct Answers {
  explicit Answers(const Problem& problem);

  // The mean of the precisions at the relevant items among the first k of all items, ties by index.
  double average_precision(std::size_t query, std::size_t k, Normalizer normalizer) const;

  std::size_t bins;
  std::vector<std::int32_t> distances;       // (queries, items), masked items among them
  std::vector<std::size_t> shared;           // (queries, items): classes that query and item both have
  std::vector<std::vector<Found>> rankings;  // of each query: the allowed items by (distance, index)

  // By distance, (queries, bins).
  std::vector<std::int64_t> allowed_items;
  std::vector<std::int64_t> items;
  std::vector<std::int64_t> relevant;
  std::vector<double> gains;
  std::vector<double> exponential_gains;

 private:
  void answer(const Problem& problem, std::size_t query);

  std::vector<std::vector<Found>> all_rankings_;  // mask or not
};

}  // namespace vtsearch
