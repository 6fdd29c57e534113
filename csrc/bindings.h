// Shared by the bind_*.cpp files: array types, views of arrays, calls without the GIL. The bindings check what memory
// safety requires; the Python side validates first and explains errors in full.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "codes.h"
#include "hamming/parallel.h"
#include "simd/kernels.h"

namespace vtsearch {

namespace py = pybind11;
using namespace py::literals;

// The array types of _native.pyi, under the same names.
using Codes = py::array_t<std::uint8_t, py::array::c_style>;
using Weights = py::array_t<std::uint8_t, py::array::c_style>;
using PackedMask = py::array_t<std::uint8_t, py::array::c_style>;
using Offsets = py::array_t<std::int64_t, py::array::c_style>;
using Classes = py::array_t<std::int32_t, py::array::c_style>;
using ClassNumbers = py::array_t<std::int64_t, py::array::c_style>;
using Histogram = py::array_t<std::int64_t, py::array::c_style>;
using Counts = py::array_t<std::int64_t, py::array::c_style>;
using Sums = py::array_t<double, py::array::c_style>;
using Scores = py::array_t<double, py::array::c_style>;
using Distances = py::array_t<std::int32_t, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;
using TableArray = py::array_t<std::uint32_t, py::array::c_style>;

// Each adds the functions of one bind_*.cpp file to the module.
void register_isa(py::module_& module);
void register_rank(py::module_& module);
void register_duplicates(py::module_& module);
void register_partitions(py::module_& module);
void register_multi_index(py::module_& module);
void register_metrics(py::module_& module);
void register_pack(py::module_& module);

// The kernels in use. Chosen at the first call and not at import, so that an invalid VTSEARCH_ISA raises an exception
// that the caller can catch.
std::atomic<const Kernels*>& active();

// Argument declarations. exact: an array of exactly the declared type, because a conversion would copy it.
inline py::arg exact(const char* name) {
  return py::arg(name).noconvert();
}
inline py::arg optional(const char* name) {
  return py::arg(name).none(true);
}

inline void require(bool holds, const char* message) {
  if (!holds) throw std::invalid_argument(message);
}

inline std::size_t size(py::ssize_t n) {
  return static_cast<std::size_t>(n);
}
inline py::ssize_t ssize(std::size_t n) {
  return static_cast<py::ssize_t>(n);
}

inline std::size_t at_least_one(py::ssize_t value) {
  require(value >= 1, "expected a number of at least 1");
  return size(value);
}
inline std::size_t not_negative(py::ssize_t value) {
  require(value >= 0, "expected a number that is not negative");
  return size(value);
}

inline CodeView view(const Codes& codes) {
  require(codes.ndim() == 2, "codes: expected (n, bytes)");
  require(codes.shape(1) >= 1 && size(codes.shape(1)) <= width_limit, "codes: expected 1 to 8191 bytes each");
  return {codes.data(), size(codes.shape(0)), size(codes.shape(1))};
}

inline MaskView view(const std::optional<PackedMask>& mask, std::size_t items) {
  if (!mask) return {};
  require(mask->ndim() == 1 && size(mask->shape(0)) == (items + 7) / 8, "mask: expected ceil(n / 8) bytes");
  return {mask->data()};
}

// A mask for all queries, or a row for each.
inline Masks views(const std::optional<PackedMask>& mask, std::size_t queries, std::size_t items) {
  if (!mask || mask->ndim() == 1) return {view(mask, items)};
  const std::size_t bytes = (items + 7) / 8;
  require(mask->ndim() == 2 && size(mask->shape(0)) == queries && size(mask->shape(1)) == bytes,
          "mask: expected (q, ceil(n / 8)) bytes");
  return {{mask->data()}, bytes};
}

// Codes of one width on both sides.
struct BothCodes {
  CodeView queries;
  CodeView database;
};

inline BothCodes views(const Codes& query_codes, const Codes& db_codes) {
  const BothCodes both{view(query_codes), view(db_codes)};
  require(both.queries.width == both.database.width, "codes: widths differ");
  return both;
}

// Queries with a weight for each bit, if there are any.
inline Queries queries_of(const CodeView& codes, const std::optional<Weights>& weights) {
  if (!weights) return codes;
  const std::size_t bits = 8 * codes.width;
  require(weights->ndim() == 2 && size(weights->shape(0)) == codes.count && size(weights->shape(1)) == bits,
          "weights: expected (q, 8 * bytes)");
  const std::uint8_t* const end = weights->data() + weights->size();
  require(std::all_of(weights->data(), end, [](std::uint8_t weight) { return weight <= weight_limit; }),
          "weights: expected at most 63");
  const Queries queries(codes, weights->data());
  require(queries.farthest <= weight_sum_limit, "weights: expected sums of at most 65534");
  return queries;
}

// A zeroed (rows, columns) array.
template <class Array>
Array zeros(std::size_t rows, std::size_t columns) {
  Array array({ssize(rows), ssize(columns)});
  std::fill_n(array.mutable_data(), rows * columns, typename Array::value_type{});
  return array;
}

// An array that owns the memory of `values`.
template <class T>
py::array_t<T, py::array::c_style> adopt(std::vector<T>&& values) {
  auto* owner = new std::vector<T>(std::move(values));
  const py::capsule release(owner, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T, py::array::c_style>(ssize(owner->size()), owner->data(), release);
}

// Calls compute(kernels, cancellation) without the GIL. A pending signal (Ctrl-C) stops the computation and raises the
// exception of its handler.
template <class Compute>
void run(Compute&& compute) {
  Cancellation cancellation([] {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  });
  try {
    const py::gil_scoped_release released;
    compute(*active().load(), cancellation);
  } catch (const Cancelled&) {
    throw py::error_already_set();
  }
}

}  // namespace vtsearch
