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

namespace vtsearch {
namespace {

std::pair<Distances, Indices> rank_codes(const Codes& query_codes, const Codes& db_codes, py::ssize_t k,
                                         const std::optional<PackedMask>& mask, py::ssize_t threads) {
  const BothCodes codes = views(query_codes, db_codes);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  const std::size_t columns = rank_columns(codes.database, not_negative(k), masks);
  Distances distances({ssize(codes.queries.count), ssize(columns)});
  Indices indices({ssize(codes.queries.count), ssize(columns)});
  run([&, d = distances.mutable_data(), i = indices.mutable_data()](const Kernels& kernels,
                                                                    Cancellation& cancellation) {
    rank(kernels, codes.queries, codes.database, columns, masks, at_least_one(threads), cancellation, d, i);
  });
  return {std::move(distances), std::move(indices)};
}

// Codes as the engine takes them: (n, bytes) uint8, C-contiguous, of the very class of numpy's arrays.
bool is_plain(const py::object& codes) {
  if (Py_TYPE(codes.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
  if (!py::array_t<std::uint8_t, py::array::c_style>::check_(codes)) return false;
  const auto array = py::reinterpret_borrow<py::array>(codes);
  return array.ndim() == 2 && array.shape(1) >= 1 && size(array.shape(1)) <= width_limit;
}

// The value of an int of at least 1; 0 for anything else.
py::ssize_t positive_int(const py::object& value) {
  if (!PyLong_CheckExact(value.ptr())) return 0;
  const py::ssize_t number = PyLong_AsSsize_t(value.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();
  return number < 1 ? 0 : number;
}

// The ranking of the usual arguments, without the microseconds that checks in Python take; None for any others.
std::optional<std::pair<Distances, Indices>> rank_plain(const py::object& query_codes, const py::object& db_codes,
                                                        const py::object& k, py::ssize_t threads,
                                                        std::size_t most_bytes) {
  const py::ssize_t top = positive_int(k);
  if (top == 0 || threads < 1 || !is_plain(query_codes) || !is_plain(db_codes)) return std::nullopt;
  const auto queries = py::reinterpret_borrow<Codes>(query_codes), database = py::reinterpret_borrow<Codes>(db_codes);
  if (queries.shape(1) != database.shape(1) || size(database.nbytes()) > most_bytes) return std::nullopt;
  return rank_codes(queries, database, top, std::nullopt, threads);
}

std::tuple<Offsets, Distances, Indices> codes_within(const Codes& query_codes, const Codes& db_codes,
                                                     py::ssize_t radius, const std::optional<PackedMask>& mask,
                                                     py::ssize_t threads) {
  const BothCodes codes = views(query_codes, db_codes);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  Neighbors found;
  run([&](const Kernels& kernels, Cancellation& cancellation) {
    found = within(kernels, codes.queries, codes.database, not_negative(radius), masks, at_least_one(threads),
                   cancellation);
  });
  return {adopt(std::move(found.offsets)), adopt(std::move(found.distances)), adopt(std::move(found.indices))};
}

Counts count_of_codes_within(const Codes& query_codes, const Codes& db_codes, py::ssize_t radius,
                             const std::optional<PackedMask>& mask, py::ssize_t threads) {
  const BothCodes codes = views(query_codes, db_codes);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  Counts counts(ssize(codes.queries.count));
  std::fill_n(counts.mutable_data(), codes.queries.count, 0);
  run([&, out = counts.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    count_within(kernels, codes.queries, codes.database, not_negative(radius), masks, at_least_one(threads),
                 cancellation, out);
  });
  return counts;
}

Distances all_distances(const Codes& query_codes, const Codes& db_codes, py::ssize_t threads) {
  const BothCodes codes = views(query_codes, db_codes);
  Distances all({ssize(codes.queries.count), ssize(codes.database.count)});
  run([&, out = all.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    distances(kernels, codes.queries, codes.database, at_least_one(threads), cancellation, out);
  });
  return all;
}

Histogram distance_histogram(const Codes& query_codes, const Codes& db_codes, const std::optional<PackedMask>& mask,
                             py::ssize_t threads) {
  const BothCodes codes = views(query_codes, db_codes);
  const Masks masks = views(mask, codes.queries.count, codes.database.count);
  auto counts = zeros<Histogram>(codes.queries.count, codes.database.bins());
  run([&, out = counts.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    histogram(kernels, codes.queries, codes.database, masks, at_least_one(threads), cancellation, out);
  });
  return counts;
}

}  // namespace

void register_rank(py::module_& module) {
  const py::arg query_codes = exact("query_codes"), db_codes = exact("db_codes"), mask = optional("mask");
  module.def("rank", &rank_codes, query_codes, db_codes, "k"_a, mask, "threads"_a);
  module.def("rank_plain", &rank_plain, "query_codes"_a, "db_codes"_a, "k"_a, "threads"_a, "most_bytes"_a);
  module.def("within", &codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a);
  module.def("count", &count_of_codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a);
  module.def("distances", &all_distances, query_codes, db_codes, "threads"_a);
  module.def("histogram", &distance_histogram, query_codes, db_codes, mask, "threads"_a);
}

}  // namespace vtsearch
