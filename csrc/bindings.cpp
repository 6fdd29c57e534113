// Arrays to views, the GIL released, exceptions translated; no algorithm. What is checked here is what memory safety
// needs; the Python side checks first, and explains.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

#include "codes.h"
#include "hamming/average_precision.h"
#include "hamming/distances.h"
#include "hamming/duplicates.h"
#include "hamming/histogram.h"
#include "hamming/parallel.h"
#include "hamming/rank.h"
#include "hamming/relevance.h"
#include "hamming/tiles.h"
#include "hamming/windows.h"
#include "hamming/within.h"
#include "simd/dispatch.h"

namespace py = pybind11;
using namespace py::literals;

namespace vtsearch {
namespace {

// The array types of _native.pyi, under the same names.
using Codes = py::array_t<std::uint8_t, py::array::c_style>;
using PackedMask = py::array_t<std::uint8_t, py::array::c_style>;
using Offsets = py::array_t<std::int64_t, py::array::c_style>;
using Classes = py::array_t<std::int32_t, py::array::c_style>;
using Histogram = py::array_t<std::int64_t, py::array::c_style>;
using Counts = py::array_t<std::int64_t, py::array::c_style>;
using Sums = py::array_t<double, py::array::c_style>;
using Scores = py::array_t<double, py::array::c_style>;
using Distances = py::array_t<std::int32_t, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;

// Chosen at the first call, so that an instruction set that VTSEARCH_ISA names in vain is an error a caller can catch.
std::atomic<const Kernels*>& active() {
  static std::atomic<const Kernels*> kernels = &default_kernels();
  return kernels;
}

void require(bool holds, const char* message) {
  if (!holds) throw std::invalid_argument(message);
}

std::size_t size(py::ssize_t n) {
  return static_cast<std::size_t>(n);
}
py::ssize_t ssize(std::size_t n) {
  return static_cast<py::ssize_t>(n);
}

CodeView view(const Codes& codes) {
  require(codes.ndim() == 2, "codes: expected (n, bytes)");
  require(codes.shape(1) >= 1 && size(codes.shape(1)) <= width_limit, "codes: expected 1 to 8191 bytes each");
  return {codes.data(), size(codes.shape(0)), size(codes.shape(1))};
}

std::pair<CodeView, CodeView> views(const Codes& query_codes, const Codes& db_codes) {
  const auto both = std::pair(view(query_codes), view(db_codes));
  require(both.first.width == both.second.width, "codes: widths differ");
  return both;
}

MaskView view(const std::optional<PackedMask>& mask, std::size_t items) {
  if (!mask) return {};
  require(mask->ndim() == 1 && size(mask->shape(0)) == (items + 7) / 8, "mask: expected ceil(n / 8) bytes");
  return {mask->data()};
}

LabelView view(const Offsets& offsets, const Classes& classes, std::size_t items, std::size_t class_count) {
  require(offsets.ndim() == 1 && size(offsets.shape(0)) == items + 1, "labels: expected n + 1 offsets");
  require(classes.ndim() == 1, "labels: expected (nnz,) classes");
  const std::int64_t* offset = offsets.data();
  require(offset[0] == 0 && offset[items] == classes.shape(0), "labels: offsets and classes do not fit");
  for (std::size_t i = 0; i < items; ++i) require(offset[i] <= offset[i + 1], "labels: offsets must not fall");
  for (py::ssize_t i = 0; i < classes.shape(0); ++i) {
    require(classes.data()[i] >= 0 && size(classes.data()[i]) < class_count, "labels: class out of range");
  }
  return {offset, classes.data()};
}

std::size_t at_least_one(py::ssize_t value) {
  require(value >= 1, "expected a number of at least 1");
  return size(value);
}

std::size_t not_negative(py::ssize_t value) {
  require(value >= 0, "expected a number that is not negative");
  return size(value);
}

Ties ties_named(const std::string& name) {
  if (name == "expected") return Ties::expected;
  if (name == "best") return Ties::best;
  require(name == "worst", "ties: expected 'expected', 'best' or 'worst'");
  return Ties::worst;
}

Normalizer normalizer_named(const std::string& name) {
  if (name == "retrieved") return Normalizer::retrieved;
  if (name == "relevant") return Normalizer::relevant;
  require(name == "min", "normalizer: expected 'retrieved', 'relevant' or 'min'");
  return Normalizer::min;
}

// A zeroed (rows, columns) array.
template <class Array>
Array zeros(std::size_t rows, std::size_t columns) {
  Array array({ssize(rows), ssize(columns)});
  std::fill_n(array.mutable_data(), rows * columns, typename Array::value_type{});
  return array;
}

// Takes over a vector's memory.
template <class T>
py::array_t<T, py::array::c_style> adopt(std::vector<T>&& values) {
  auto* owner = new std::vector<T>(std::move(values));
  const py::capsule release(owner, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T, py::array::c_style>(ssize(owner->size()), owner->data(), release);
}

// Runs a computation without the GIL; a pending signal (Ctrl-C) stops it and raises what its handler raised.
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

std::size_t default_threads() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return static_cast<std::size_t>(CPU_COUNT(&allowed));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Kernels* kernels : runnable_kernels()) names.emplace_back(kernels->name);
  return names;
}

std::pair<Distances, Indices> rank_codes(const Codes& query_codes, const Codes& db_codes, py::ssize_t k,
                                         const std::optional<PackedMask>& mask, py::ssize_t threads) {
  const auto [queries, database] = views(query_codes, db_codes);
  const MaskView allowed = view(mask, database.count);
  const std::size_t columns = rank_columns(database, not_negative(k), allowed);
  Distances distances({ssize(queries.count), ssize(columns)});
  Indices indices({ssize(queries.count), ssize(columns)});
  run([&, q = queries, db = database, d = distances.mutable_data(), i = indices.mutable_data()](
          const Kernels& kernels, Cancellation& cancellation) {
    rank(kernels, q, db, columns, allowed, at_least_one(threads), cancellation, d, i);
  });
  return {std::move(distances), std::move(indices)};
}

std::tuple<Offsets, Distances, Indices> codes_within(const Codes& query_codes, const Codes& db_codes,
                                                     py::ssize_t radius, const std::optional<PackedMask>& mask,
                                                     py::ssize_t threads) {
  const auto [queries, database] = views(query_codes, db_codes);
  const MaskView allowed = view(mask, database.count);
  Neighbors found;
  run([&, q = queries, db = database](const Kernels& kernels, Cancellation& cancellation) {
    found = within(kernels, q, db, not_negative(radius), allowed, at_least_one(threads), cancellation);
  });
  return {adopt(std::move(found.offsets)), adopt(std::move(found.distances)), adopt(std::move(found.indices))};
}

Counts count_of_codes_within(const Codes& query_codes, const Codes& db_codes, py::ssize_t radius,
                             const std::optional<PackedMask>& mask, py::ssize_t threads) {
  const auto [queries, database] = views(query_codes, db_codes);
  const MaskView allowed = view(mask, database.count);
  Counts counts(ssize(queries.count));
  std::fill_n(counts.mutable_data(), queries.count, 0);
  run([&, q = queries, db = database, out = counts.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    count_within(kernels, q, db, not_negative(radius), allowed, at_least_one(threads), cancellation, out);
  });
  return counts;
}

Distances all_distances(const Codes& query_codes, const Codes& db_codes, py::ssize_t threads) {
  const auto [queries, database] = views(query_codes, db_codes);
  Distances out({ssize(queries.count), ssize(database.count)});
  run([&, q = queries, db = database, data = out.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    distances(kernels, q, db, at_least_one(threads), cancellation, data);
  });
  return out;
}

Histogram distance_histogram(const Codes& query_codes, const Codes& db_codes, const std::optional<PackedMask>& mask,
                             py::ssize_t threads) {
  const auto [queries, database] = views(query_codes, db_codes);
  const MaskView allowed = view(mask, database.count);
  auto out = zeros<Histogram>(queries.count, database.bins());
  run([&, q = queries, db = database, data = out.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    histogram(kernels, q, db, allowed, at_least_one(threads), cancellation, data);
  });
  return out;
}

// A function of Python's for a computation that runs without the GIL, and outlives it; null for None.
template <class... Args>
std::function<void(Args...)> callback(const std::optional<py::function>& function) {
  if (!function) return nullptr;
  return [&call = *function](Args... args) {
    const py::gil_scoped_acquire gil;
    call(args...);
  };
}

Indices duplicates(const Codes& codes, py::ssize_t radius, py::ssize_t window, py::ssize_t pairs,
                   const std::optional<py::function>& report, const std::optional<py::function>& release,
                   py::ssize_t threads) {
  const CodeView items = view(codes);
  const auto release_items = callback<std::size_t, std::size_t>(release);
  Windows windows{at_least_one(window), at_least_one(pairs), callback<std::size_t>(report), nullptr};
  if (release_items) windows.release = [&](Range range) { release_items(range.begin, range.end); };
  Indices representatives(ssize(items.count));
  run([&, r = representatives.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    deduplicate(kernels, items, not_negative(radius), windows, at_least_one(threads), cancellation, r);
  });
  return representatives;
}

LabelledCodes labelled(const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                       const Classes& query_classes, const Offsets& db_offsets, const Classes& db_classes,
                       py::ssize_t classes) {
  const auto [queries, database] = views(query_codes, db_codes);
  const std::size_t count = not_negative(classes);
  require(database.count < range_limit, "db_codes: expected fewer than 2^31 items");
  return {queries, database, view(query_offsets, query_classes, queries.count, count),
          view(db_offsets, db_classes, database.count, count), count};
}

std::pair<Histogram, Histogram> relevance(const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                                          const Classes& query_classes, const Offsets& db_offsets,
                                          const Classes& db_classes, py::ssize_t classes, py::ssize_t threads) {
  const LabelledCodes data =
      labelled(query_codes, db_codes, query_offsets, query_classes, db_offsets, db_classes, classes);
  auto items = zeros<Histogram>(data.queries.count, data.database.bins());
  auto relevant = zeros<Histogram>(data.queries.count, data.database.bins());
  run([&, i = items.mutable_data(), r = relevant.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    relevance_histograms(kernels, data, at_least_one(threads), cancellation, i, r);
  });
  return {std::move(items), std::move(relevant)};
}

std::pair<Sums, Sums> gains(const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                            const Classes& query_classes, const Offsets& db_offsets, const Classes& db_classes,
                            py::ssize_t classes, py::ssize_t threads) {
  const LabelledCodes data =
      labelled(query_codes, db_codes, query_offsets, query_classes, db_offsets, db_classes, classes);
  auto sums = zeros<Sums>(data.queries.count, data.database.bins());
  auto exponential = zeros<Sums>(data.queries.count, data.database.bins());
  run([&, s = sums.mutable_data(), e = exponential.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    gain_histograms(kernels, data, at_least_one(threads), cancellation, s, e);
  });
  return {std::move(sums), std::move(exponential)};
}

Scores scores_of(const Histogram& items, const Histogram& relevant, py::ssize_t k, const std::string& ties,
                 const std::string& normalizer) {
  require(items.ndim() == 2 && relevant.ndim() == 2 && items.shape(0) == relevant.shape(0) &&
              items.shape(1) == relevant.shape(1),
          "histograms: expected two of shape (q, bins)");
  for (py::ssize_t i = 0; i < items.size(); ++i) {
    require(relevant.data()[i] >= 0 && relevant.data()[i] <= items.data()[i],
            "histograms: expected 0 <= relevant <= items");
  }
  const std::size_t bins = size(items.shape(1));
  const std::size_t cut = k == 0 ? SIZE_MAX : not_negative(k);
  const Ties tie_rule = ties_named(ties);
  const Normalizer divisor = normalizer_named(normalizer);
  Scores scores(items.shape(0));
  for (std::size_t q = 0; q < size(items.shape(0)); ++q) {
    scores.mutable_data()[q] =
        average_precision(items.data() + q * bins, relevant.data() + q * bins, bins, cut, tie_rule, divisor);
  }
  return scores;
}

Scores scores_by_index(const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                       const Classes& query_classes, const Offsets& db_offsets, const Classes& db_classes,
                       py::ssize_t classes, py::ssize_t k, const std::string& normalizer, py::ssize_t threads) {
  const LabelledCodes data =
      labelled(query_codes, db_codes, query_offsets, query_classes, db_offsets, db_classes, classes);
  const std::size_t cut = k == 0 ? SIZE_MAX : not_negative(k);
  const Normalizer divisor = normalizer_named(normalizer);
  Scores scores(ssize(data.queries.count));
  std::fill_n(scores.mutable_data(), data.queries.count, 0.0);
  run([&, s = scores.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    average_precision_by_index(kernels, data, cut, divisor, at_least_one(threads), cancellation, s);
  });
  return scores;
}

}  // namespace
}  // namespace vtsearch

PYBIND11_MODULE(_native, m, py::mod_gil_not_used()) {
  using namespace vtsearch;
  m.doc() = "The compiled engine. Its interface is described in _native.pyi.";
  m.attr("__version__") = VTSEARCH_VERSION;

  m.def("isas", &isas);
  m.def("active_isa", [] { return std::string(active().load()->name); });
  m.def("use_isa", [](const std::string& name) { active() = &kernels_named(name); }, "name"_a);
  m.def("default_threads", &default_threads);

  const auto query_codes = py::arg("query_codes").noconvert();
  const auto db_codes = py::arg("db_codes").noconvert();
  const auto mask = py::arg("mask").none(true);
  m.def("rank", &rank_codes, query_codes, db_codes, "k"_a, mask, "threads"_a);
  m.def("within", &codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a);
  m.def("count", &count_of_codes_within, query_codes, db_codes, "radius"_a, mask, "threads"_a);
  m.def("distances", &all_distances, query_codes, db_codes, "threads"_a);
  m.def("histogram", &distance_histogram, query_codes, db_codes, mask, "threads"_a);
  m.def("deduplicate", &duplicates, py::arg("codes").noconvert(), "radius"_a, "window"_a, "pairs"_a,
        py::arg("report").none(true), py::arg("release").none(true), "threads"_a);

  const auto query_offsets = py::arg("query_offsets").noconvert();
  const auto query_classes = py::arg("query_classes").noconvert();
  const auto db_offsets = py::arg("db_offsets").noconvert();
  const auto db_classes = py::arg("db_classes").noconvert();
  m.def("relevance_histograms", &relevance, query_codes, db_codes, query_offsets, query_classes, db_offsets, db_classes,
        "classes"_a, "threads"_a);
  m.def("gain_histograms", &gains, query_codes, db_codes, query_offsets, query_classes, db_offsets, db_classes,
        "classes"_a, "threads"_a);
  m.def("average_precision", &scores_of, py::arg("items").noconvert(), py::arg("relevant").noconvert(), "k"_a, "ties"_a,
        "normalizer"_a);
  m.def("average_precision_by_index", &scores_by_index, query_codes, db_codes, query_offsets, query_classes, db_offsets,
        db_classes, "classes"_a, "k"_a, "normalizer"_a, "threads"_a);
}
