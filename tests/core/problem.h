// A pseudorandom retrieval problem of a given shape: codes, mask and labels in fenced memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codes.h"
#include "fenced.h"
#include "hamming/relevance.h"

namespace vtsearch {

// Distributions of the codes of the database. Ties and sorted codes are the hard cases for the kernels.
enum class Kind { random, few, equal, opposite, nearest_first, farthest_first };
inline constexpr std::size_t kinds = 6;

enum class MaskKind { none, scattered, runs, empty, full, by_query };
inline constexpr std::size_t mask_kinds = 6;

// Weights of the bits of queries: none, all equal to the largest, random ones of which some are 0, and of one query in
// three all 0.
enum class WeightKind { none, largest, random };

struct Shape {
  std::size_t width;
  std::size_t queries;
  std::size_t items;
  Kind kind = Kind::random;
  MaskKind mask = MaskKind::none;
  std::size_t classes = 0;
  std::size_t max_labels = 1;  // per item
  std::uint64_t seed = 0;
  WeightKind weights = WeightKind::none;
};

// splitmix64: the same numbers on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()();
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : (*this)() % limit; }

 private:
  std::uint64_t state_;
};

// Labels as compressed sparse rows (CSR).
struct Labels {
  Fenced<std::int64_t> offsets;
  Fenced<std::int32_t> classes;

  LabelView view() const { return {offsets.data(), classes.data()}; }
};

struct Problem {
  explicit Problem(const Shape& shape);

  Queries query_view() const {
    const CodeView codes{queries.data(), shape.queries, shape.width};
    return shape.weights == WeightKind::none ? Queries(codes) : Queries(codes, weights.data());
  }
  CodeView database_view() const { return {database.data(), shape.items, shape.width}; }
  std::size_t mask_rows() const {
    return shape.mask == MaskKind::none ? 0 : shape.mask == MaskKind::by_query ? shape.queries : 1;
  }
  std::size_t mask_bytes() const { return (shape.items + 7) / 8; }  // of a row
  Masks masks() const { return {{mask_rows() == 0 ? nullptr : mask.data()}, mask_rows() > 1 ? mask_bytes() : 0}; }
  LabelledCodes labelled() const {
    return {{query_view(), query_labels.view()}, {database_view(), db_labels.view()}, shape.classes, masks()};
  }

  Shape shape;
  Fenced<std::uint8_t> queries;
  Fenced<std::uint8_t> weights;  // (queries, 8 * width), if there are any
  Fenced<std::uint8_t> database;
  Fenced<std::uint8_t> mask;
  Labels query_labels;
  Labels db_labels;
};

}  // namespace vtsearch
