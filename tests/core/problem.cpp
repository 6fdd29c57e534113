#include "problem.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "oracle.h"

namespace vtsearch {
namespace {

std::vector<std::uint8_t> random_bytes(std::size_t count, Random& random) {
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

void copy_into(Fenced<std::uint8_t>& target, const std::vector<std::uint8_t>& bytes) {
  std::copy(bytes.begin(), bytes.end(), target.begin());
}

// The codes sorted by their distance to the query.
std::vector<std::uint8_t> nearest_first(const std::vector<std::uint8_t>& codes, const std::uint8_t* query,
                                        std::size_t width) {
  std::vector<Found> order;
  for (std::size_t i = 0; i < codes.size() / width; ++i) {
    order.push_back({naive_distance(query, codes.data() + i * width, width), static_cast<std::int64_t>(i)});
  }
  std::sort(order.begin(), order.end());
  std::vector<std::uint8_t> sorted;
  for (const Found& found : order) {
    const std::uint8_t* code = codes.data() + static_cast<std::size_t>(found.index) * width;
    sorted.insert(sorted.end(), code, code + width);
  }
  return sorted;
}

std::vector<std::uint8_t> database_codes(const Shape& shape, const std::vector<std::uint8_t>& queries, Random& random) {
  const std::size_t width = shape.width;
  std::vector<std::uint8_t> codes = random_bytes(shape.items * width, random);
  if (shape.items == 0 || queries.empty()) return codes;
  const std::size_t distinct = shape.kind == Kind::few ? std::min<std::size_t>(4, shape.items) : 1;
  switch (shape.kind) {
    case Kind::few:
    case Kind::equal:
      for (std::size_t i = distinct; i < shape.items; ++i) {
        std::memcpy(codes.data() + i * width, codes.data() + random.below(distinct) * width, width);
      }
      break;
    case Kind::opposite:  // only the smallest and the largest possible distance
      for (std::size_t i = 0; i < codes.size(); ++i) {
        codes[i] = static_cast<std::uint8_t>(queries[i % width] ^ (i / width % 3 == 0 ? 0x00 : 0xff));
      }
      break;
    case Kind::nearest_first:
      return nearest_first(codes, queries.data(), width);
    case Kind::farthest_first: {
      std::vector<std::uint8_t> opposite(queries.begin(), queries.begin() + static_cast<std::ptrdiff_t>(width));
      for (std::uint8_t& byte : opposite) byte = static_cast<std::uint8_t>(~byte);
      return nearest_first(codes, opposite.data(), width);
    }
    case Kind::random:
      break;
  }
  return codes;
}

void fill_weights(Fenced<std::uint8_t>& weights, const Shape& shape, Random& random) {
  const std::size_t bits = 8 * shape.width;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const bool zero = shape.weights == WeightKind::random && (i / bits % 3 == 1 || random.below(4) == 0);
    const std::size_t most = shape.weights == WeightKind::random ? random.below(weight_limit + 1) : weight_limit;
    weights.data()[i] = static_cast<std::uint8_t>(zero ? 0 : most);
  }
}

void fill_mask(std::span<std::uint8_t> mask, MaskKind kind, Random& random) {
  constexpr std::size_t run = 24;  // bytes
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(random() & random());
    const bool allowed_run = i / run % 2 == 1;
    mask[i] = kind == MaskKind::scattered ? byte
              : kind == MaskKind::runs    ? static_cast<std::uint8_t>(allowed_run ? 0xff : 0x00)
              : kind == MaskKind::full    ? std::uint8_t{0xff}
                                          : std::uint8_t{0x00};
  }
}

// One mask, or one of each kind in turn for the queries. Bits beyond the last item must be ignored, so they are set.
void fill_masks(Problem& problem, Random& random) {
  constexpr MaskKind in_turn[] = {MaskKind::scattered, MaskKind::full, MaskKind::runs, MaskKind::scattered,
                                  MaskKind::empty};
  const std::size_t bytes = problem.mask_bytes(), padding = problem.shape.items % 8;
  for (std::size_t row = 0; row < problem.mask_rows(); ++row) {
    const bool by_query = problem.shape.mask == MaskKind::by_query;
    const std::span<std::uint8_t> mask(problem.mask.data() + row * bytes, bytes);
    fill_mask(mask, by_query ? in_turn[row % std::size(in_turn)] : problem.shape.mask, random);
    if (padding != 0) mask.back() |= static_cast<std::uint8_t>(0xff >> padding);
  }
}

Labels random_labels(std::size_t items, const Shape& shape, Random& random) {
  std::vector<std::int32_t> all;
  Fenced<std::int64_t> offsets(items + 1);
  for (std::size_t i = 0; i < items; ++i) {
    std::vector<std::int32_t> row;
    const std::size_t labels = shape.classes == 0 ? 0 : random.below(shape.max_labels + 1);
    for (std::size_t j = 0; j < labels; ++j) row.push_back(static_cast<std::int32_t>(random.below(shape.classes)));
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    all.insert(all.end(), row.begin(), row.end());
    offsets.data()[i + 1] = static_cast<std::int64_t>(all.size());
  }
  Fenced<std::int32_t> classes(all.size());
  std::copy(all.begin(), all.end(), classes.begin());
  return {std::move(offsets), std::move(classes)};
}

}  // namespace

std::uint64_t Random::operator()() {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Problem::Problem(const Shape& shape_)
    : shape(shape_),
      queries(shape.queries * shape.width),
      weights(shape.weights == WeightKind::none ? 0 : 8 * queries.size()),
      database(shape.items * shape.width),
      mask(mask_rows() * mask_bytes()),
      query_labels{Fenced<std::int64_t>(0), Fenced<std::int32_t>(0)},
      db_labels{Fenced<std::int64_t>(0), Fenced<std::int32_t>(0)} {
  Random random(shape.seed);
  const std::vector<std::uint8_t> query_codes = random_bytes(queries.size(), random);
  copy_into(queries, query_codes);
  copy_into(database, database_codes(shape, query_codes, random));
  fill_masks(*this, random);
  query_labels = random_labels(shape.queries, shape, random);
  db_labels = random_labels(shape.items, shape, random);
  fill_weights(weights, shape, random);
}

}  // namespace vtsearch
