// Rankings, neighbors within a radius, distances and their histograms.
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "bindings.h"
#include "hamming/distances.h"
#include "hamming/histogram.h"
#include "hamming/rank.h"
#include "hamming/within.h"
#include "plain_arguments.h"

namespace vtsearch {
namespace {

bool is_aligned(const py::array& array) {
  return (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
}

using Results = std::pair<Distances, Indices>;

// Arrays to fill: those given, or new ones.
Results results(const std::optional<Results>& out, std::size_t queries, std::size_t columns) {
  const std::vector<py::ssize_t> shape{ssize(queries), ssize(columns)};
  if (!out) return {Distances(shape), Indices(shape)};
  const auto fits = [&](const py::array& array) {
    return array.ndim() == 2 && array.shape(0) == shape[0] && array.shape(1) == shape[1] && is_aligned(array);
  };
  require(fits(out->first) && fits(out->second), "out: expected two arrays of (q, columns)");
  return *out;
}

Results rank_codes(const Codes& query_codes, const Codes& db_codes, py::ssize_t k,
                   const std::optional<PackedMask>& mask, py::ssize_t threads, const std::optional<Results>& out,
                   const std::optional<Weights>& weights) {
  const BothCodes codes = views(query_codes, db_codes);
  const Queries queries = queries_of(codes.queries, weights);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  const std::size_t columns = rank_columns(codes.database, not_negative(k), masks);
  auto [distances, indices] = results(out, codes.queries.count, columns);
  run([&, d = distances.mutable_data(), i = indices.mutable_data()](const Kernels& kernels,
                                                                    Cancellation& cancellation) {
    rank(kernels, queries, codes.database, columns, masks, at_least_one(threads), cancellation, d, i);
  });
  return {std::move(distances), std::move(indices)};
}

// The ranking of the usual arguments, without the microseconds that checks in Python take; None for any others.
std::optional<Results> rank_plain(const py::object& query_codes, const py::object& db_codes, const py::object& k,
                                  py::ssize_t threads, std::size_t most_bytes) {
  const py::ssize_t top = positive_int(k);
  const auto codes = plain_codes(query_codes, db_codes, most_bytes);
  if (top == 0 || threads < 1 || !codes) return std::nullopt;
  return rank_codes(codes->first, codes->second, top, std::nullopt, threads, std::nullopt, std::nullopt);
}

std::tuple<Offsets, Distances, Indices> codes_within(const Codes& query_codes, const Codes& db_codes,
                                                     py::ssize_t radius, const std::optional<PackedMask>& mask,
                                                     py::ssize_t threads, const std::optional<Weights>& weights) {
  const BothCodes codes = views(query_codes, db_codes);
  const Queries queries = queries_of(codes.queries, weights);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  Neighbors found;
  run([&](const Kernels& kernels, Cancellation& cancellation) {
    found = within(kernels, queries, codes.database, not_negative(radius), masks, at_least_one(threads), cancellation);
  });
  return {adopt(std::move(found.offsets)), adopt(std::move(found.distances)), adopt(std::move(found.indices))};
}

Counts count_of_codes_within(const Codes& query_codes, const Codes& db_codes, py::ssize_t radius,
                             const std::optional<PackedMask>& mask, py::ssize_t threads,
                             const std::optional<Weights>& weights) {
  const BothCodes codes = views(query_codes, db_codes);
  const Queries queries = queries_of(codes.queries, weights);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  Counts counts(ssize(codes.queries.count));
  std::fill_n(counts.mutable_data(), codes.queries.count, 0);
  run([&, out = counts.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    count_within(kernels, queries, codes.database, not_negative(radius), masks, at_least_one(threads), cancellation,
                 out);
  });
  return counts;
}

// Fills `out` if its elements are of this type; returns whether they are.
template <class Number>
bool fill_distances(const Queries& queries, CodeView database, py::array& out, std::size_t threads) {
  if (!py::isinstance<py::array_t<Number>>(out)) return false;
  const auto stride = static_cast<std::size_t>(out.strides(0)) / sizeof(Number);
  run([&, data = static_cast<Number*>(out.mutable_data())](const Kernels& kernels, Cancellation& cancellation) {
    distances(kernels, queries, database, threads, cancellation, data, stride);
  });
  return true;
}

void all_distances(const Codes& query_codes, const Codes& db_codes, py::array& out, py::ssize_t threads,
                   const std::optional<Weights>& weights) {
  const BothCodes codes = views(query_codes, db_codes);
  const Queries queries = queries_of(codes.queries, weights);
  const std::size_t count = at_least_one(threads);
  require(out.ndim() == 2 && size(out.shape(0)) == codes.queries.count && size(out.shape(1)) == codes.database.count,
          "out: expected (q, n)");
  require(is_aligned(out), "out: expected an aligned array");
  if (out.size() == 0) return;
  require(out.itemsize() > 1 || queries.farthest <= UINT8_MAX, "out: expected distances that fit");
  require((out.shape(1) == 1 || out.strides(1) == out.itemsize()) && out.strides(0) % out.itemsize() == 0 &&
              (out.shape(0) == 1 || out.strides(0) >= out.shape(1) * out.itemsize()),
          "out: expected rows without gaps, one after the other");
  require(fill_distances<std::uint8_t>(queries, codes.database, out, count) ||
              fill_distances<std::uint16_t>(queries, codes.database, out, count) ||
              fill_distances<std::int32_t>(queries, codes.database, out, count),
          "out: expected uint8, uint16 or int32");
}

Histogram distance_histogram(const Codes& query_codes, const Codes& db_codes, const std::optional<PackedMask>& mask,
                             py::ssize_t threads, const std::optional<Weights>& weights) {
  const BothCodes codes = views(query_codes, db_codes);
  const Queries queries = queries_of(codes.queries, weights);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  auto counts = zeros<Histogram>(queries.count, queries.bins());
  run([&, out = counts.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    histogram(kernels, queries, codes.database, masks, at_least_one(threads), cancellation, out);
  });
  return counts;
}

}  // namespace

void register_rank(py::module_& module) {
  const py::arg query_codes = exact("query_codes"), db_codes = exact("db_codes"), mask = optional("mask");
  const py::arg_v weights = optional("weights") = py::none();
  module.def("rank", &rank_codes, query_codes, db_codes, "k"_a, mask, "threads"_a, optional("out").noconvert(),
             weights);
  module.def("rank_plain", &rank_plain, "query_codes"_a, "db_codes"_a, "k"_a, "threads"_a, "most_bytes"_a);
  module.def("within", &codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a, weights);
  module.def("count", &count_of_codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a, weights);
  module.def("distances", &all_distances, query_codes, db_codes, exact("out"), "threads"_a, weights);
  module.def("histogram", &distance_histogram, query_codes, db_codes, mask, "threads"_a, weights);
}

}  // namespace vtsearch
